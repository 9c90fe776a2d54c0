"""BCEmbedding: `compute_score`, and `rerank`, which cuts long passages into overlapping windows."""

from pathlib import Path
from typing import Any

from official import Scorer

NAME = "BCEmbedding==0.1.5 RerankerModel"


def open_model(folder: Path) -> Scorer:
    """Return a scorer; the option `method` names the entry point."""
    from BCEmbedding import RerankerModel

    model = RerankerModel(str(folder), device="cpu")

    def score(query: str, passages: list[str], method: str) -> list[float]:
        return {"compute_score": _compute_score, "rerank": _rerank}[method](model, query, passages)

    return score


def _compute_score(model: Any, query: str, passages: list[str]) -> list[float]:
    scores = model.compute_score([[query, passage] for passage in passages], enable_tqdm=False)
    return scores if isinstance(scores, list) else [scores]


def _rerank(model: Any, query: str, passages: list[str]) -> list[float | None]:
    """Put the sorted scores back into the order of the input; an empty passage, which is dropped, has none."""
    result = model.rerank(query, passages)
    kept = [place for place, passage in enumerate(passages) if passage]
    scores = [None] * len(passages)
    for identifier, score in zip(result.get("rerank_ids", []), result["rerank_scores"], strict=True):
        scores[kept[identifier]] = score
    return scores
