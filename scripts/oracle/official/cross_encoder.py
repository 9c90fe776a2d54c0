"""sentence-transformers: `CrossEncoder.predict`."""

from pathlib import Path
from typing import Any

from official import Scorer

NAME = "sentence-transformers==5.3.0 CrossEncoder.predict"


def open_model(folder: Path, **defaults: Any) -> Scorer:
    """Return a scorer; `activation_fn` names a class of `torch.nn`, `max_length` goes to the constructor."""
    import torch
    from sentence_transformers import CrossEncoder

    def score(query: str, passages: list[str], activation_fn: str | None = None, **options: Any) -> list[float]:
        model = CrossEncoder(str(folder), device="cpu", **{**defaults, **options})
        activation = getattr(torch.nn, activation_fn)() if activation_fn else None
        pairs = [(query, passage) for passage in passages]
        return model.predict(pairs, activation_fn=activation, show_progress_bar=False).tolist()

    return score
