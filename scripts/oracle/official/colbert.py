"""PyLate: one passage at a time, because `rank.rerank` pads without a mask and so mixes batch-mates."""

from pathlib import Path
from typing import Any

from official import Scorer

NAME = "pylate==1.6.0 models.ColBERT.encode + scores.colbert_scores, one passage at a time"


def open_model(folder: Path) -> Scorer:
    """Return a MaxSim scorer; options go to the constructor."""

    def score(query: str, passages: list[str], **options: Any) -> list[float]:
        from pylate.models import ColBERT

        model = ColBERT(str(folder), device="cpu", **options)
        return [_max_sim(model, query, passage) for passage in passages]

    return score


def _max_sim(model: Any, query: str, passage: str) -> float:
    from pylate.scores import colbert_scores

    (left,) = model.encode([query], is_query=True, convert_to_tensor=True, show_progress_bar=False)
    (right,) = model.encode([passage], is_query=False, convert_to_tensor=True, show_progress_bar=False)
    return colbert_scores(left[None], right[None]).item()
