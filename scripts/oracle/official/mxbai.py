"""mxbai-rerank: `MxbaiRerankV1.rank` and `MxbaiRerankV2.rank`, which restore the order of the input."""

from pathlib import Path
from typing import Any

from official import Scorer

V1 = "mxbai-rerank==0.1.6 MxbaiRerankV1.rank"
V2 = "mxbai-rerank==0.1.6 MxbaiRerankV2.rank"


def open_v1(folder: Path) -> Scorer:
    """Return a scorer that gives sigmoids."""
    from mxbai_rerank import MxbaiRerankV1

    model = MxbaiRerankV1(str(folder), device="cpu")
    return lambda query, passages: _rank(model, query, passages)


def open_v2(folder: Path) -> Scorer:
    """Return a scorer; `max_length` and `estimated_max` go to the constructor, the rest to `rank`."""
    from mxbai_rerank import MxbaiRerankV2

    def score(query: str, passages: list[str], **options: Any) -> list[float]:
        names = options.keys() & {"max_length", "estimated_max"}
        model = MxbaiRerankV2(str(folder), device="cpu", **{name: options.pop(name) for name in sorted(names)})
        return _rank(model, query, passages, **options)

    return score


def _rank(model: Any, query: str, passages: list[str], **options: Any) -> list[float]:
    results = model.rank(query, passages, top_k=len(passages), sort=False, return_documents=False, **options)
    return [result.score for result in results]
