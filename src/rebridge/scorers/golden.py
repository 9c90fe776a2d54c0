"""Scores that others have published for the real models, to check a download and this machine with.

Source: the tests of sentence-transformers 6.2.0, ``tests/cross_encoder/test_pretrained.py`` and
``tests/multi_vector_encoder/test_pretrained.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rebridge.scorers.base import Activation, activate

if TYPE_CHECKING:
    from rebridge.scorers.base import Scorer

QUERY = "Which planet is known as the Red Planet?"
PASSAGES = (
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
)


@dataclass(frozen=True, slots=True)
class Golden:
    """Published scores of `PASSAGES` for `QUERY`.

    Attributes:
        scores: one per passage.
        activation: what they were made of the raw scores with; not always what the model's own package does.
        dtype: what they were computed in.
        tolerance: largest difference that counts as equal.
    """

    scores: tuple[float, ...]
    activation: Activation = "sigmoid"
    dtype: str = "bfloat16"
    tolerance: float = 0.01


@dataclass(frozen=True, slots=True)
class Comparison:
    """A passage's published score and ours."""

    passage: str
    published: float
    score: float
    difference: float
    matches: bool


PUBLISHED: dict[str, Golden] = {
    "mixedbread-ai/mxbai-rerank-xsmall-v1": Golden((0.21484, 0.9375, 0.57031, 0.72656)),
    "mixedbread-ai/mxbai-rerank-base-v1": Golden((0.05176, 0.96875, 0.71484, 0.16895)),
    "mixedbread-ai/mxbai-rerank-large-v1": Golden((0.00711, 0.99219, 0.80469, 0.3418)),
    "BAAI/bge-reranker-base": Golden((0.87891, 0.99609, 0.99609, 0.05029)),
    "BAAI/bge-reranker-large": Golden((0.69922, 1.0, 0.97266, 0.81641)),
    "BAAI/bge-reranker-v2-m3": Golden((0.01855, 1.0, 0.78906, 0.98828)),
    "hotchpotch/japanese-reranker-cross-encoder-xsmall-v1": Golden((0.44727, 0.76953, 0.60156, 0.6875)),
    # One step of bfloat16 is 0.03 for logits of this size.
    "cross-encoder/ms-marco-MiniLM-L6-v2": Golden((-6.53125, 9.6875, 6.90625, 6.6875), "identity", tolerance=0.07),
    "Alibaba-NLP/gte-reranker-modernbert-base": Golden((0.80859, 0.95312, 0.875, 0.91797)),
    "Qwen/Qwen3-Reranker-0.6B": Golden((-3.10930, 7.12039, -0.37875, 3.54164), "identity", "float32", 1e-4),
    "mixedbread-ai/mxbai-edge-colbert-v0-17m": Golden(
        (11.56932, 11.75844, 11.70989, 11.72288), "identity", "float32", 1e-3
    ),
    "answerdotai/answerai-colbert-small-v1": Golden(
        (30.56916, 31.48954, 31.30291, 31.30716), "identity", "float32", 1e-3
    ),
}


def compare(scorer: Scorer, golden: Golden) -> list[Comparison]:
    """Score the passages and hold the scores against the published ones.

    Raises:
        ScorerError: if the model fails.
    """
    raw = scorer.raw_scores(QUERY, list(PASSAGES))
    compared = []
    for passage, published, one in zip(PASSAGES, golden.scores, raw, strict=True):
        score = activate(one, golden.activation)
        difference = abs(score - published)
        compared.append(Comparison(passage, published, score, difference, difference <= golden.tolerance))
    return compared
