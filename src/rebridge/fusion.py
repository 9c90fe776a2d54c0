"""Combining first-stage scores and rerank scores into one ranking of the rank window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from rebridge.normalisers import NORMALISERS, ranks

FusionName = Literal["weighted", "rrf", "replace"]
NormaliserName = Literal["min_max", "sigmoid", "z_score", "rank", "identity"]


@dataclass(frozen=True, slots=True)
class Fusion:
    """How two scores of a candidate become one.

    Attributes:
        method: ``weighted`` sum of normalised scores, ``rrf`` (reciprocal rank fusion), or ``replace`` (rerank score
            alone).
        weight: share of the rerank score, 0 to 1; the first stage has the rest. docs/relevance.md says why 0.6.
        first_stage_normaliser: scale of first-stage scores in a weighted sum.
        rerank_normaliser: scale of rerank scores in a weighted sum.
        rrf_k: the constant of reciprocal rank fusion.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    method: FusionName = "weighted"
    weight: Annotated[float, Field(ge=0, le=1)] = 0.6
    first_stage_normaliser: NormaliserName = "min_max"
    rerank_normaliser: NormaliserName = "min_max"
    rrf_k: Annotated[int, Field(ge=1)] = 60


#: What of a `Fusion` each method uses.
USED: Mapping[FusionName, tuple[str, ...]] = {
    "weighted": ("weight", "first_stage_normaliser", "rerank_normaliser"),
    "rrf": ("weight", "rrf_k"),
    "replace": (),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What fusion made of one candidate: the weighted share of each list, and their sum."""

    first_stage: float
    rerank: float

    @property
    def total(self) -> float:
        """The fused score; higher is better."""
        return self.first_stage + self.rerank


def _weighted(fusion: Fusion, first_stage: Sequence[float], rerank: Sequence[float]) -> list[Terms]:
    """W * norm(rerank) + (1 - w) * norm(first stage)."""
    first = NORMALISERS[fusion.first_stage_normaliser](first_stage)
    second = NORMALISERS[fusion.rerank_normaliser](rerank)
    return [Terms((1 - fusion.weight) * a, fusion.weight * b) for a, b in zip(first, second, strict=True)]


def _rrf(fusion: Fusion, first_stage: Sequence[float], rerank: Sequence[float]) -> list[Terms]:
    """W / (k + rerank rank) + (1 - w) / (k + first-stage rank), after Cormack, Clarke and Buettcher (SIGIR 2009)."""
    return [
        Terms((1 - fusion.weight) / (fusion.rrf_k + a), fusion.weight / (fusion.rrf_k + b))
        for a, b in zip(ranks(first_stage), ranks(rerank), strict=True)
    ]


def _replace(_fusion: Fusion, _first_stage: Sequence[float], rerank: Sequence[float]) -> list[Terms]:
    """The rerank score alone."""
    return [Terms(0.0, score) for score in rerank]


_METHODS: dict[str, Callable[[Fusion, Sequence[float], Sequence[float]], list[Terms]]] = {
    "weighted": _weighted,
    "rrf": _rrf,
    "replace": _replace,
}


def fuse(fusion: Fusion, first_stage: Sequence[float], rerank: Sequence[float | None]) -> list[Terms]:
    """Combine two scores per candidate.

    Args:
        fusion: how.
        first_stage: the engine's scores, one per candidate.
        rerank: the model's raw scores in the same order; None for a candidate that was not scored. Such a candidate
            counts as much as the lowest one that was, and `order` puts it behind candidates with the same total.

    Returns:
        One entry per candidate, in the order given.

    Raises:
        ValueError: if the lists differ in length or no candidate has a rerank score.
    """
    scored = [score for score in rerank if score is not None]
    if len(first_stage) != len(rerank):
        raise ValueError(f"{len(first_stage)} first-stage scores for {len(rerank)} rerank scores")
    if not scored:
        raise ValueError("fusion needs at least one rerank score")
    lowest = min(scored)
    return _METHODS[fusion.method](fusion, first_stage, [lowest if score is None else score for score in rerank])


def order(terms: Sequence[Terms], rerank: Sequence[float | None]) -> list[int]:
    """Indices from best to worst: by total, then scored before unscored, then by first-stage rank."""
    return sorted(range(len(terms)), key=lambda index: (-terms[index].total, rerank[index] is None, index))


def head_score(total: float) -> float:
    """The final score of a hit inside the rank window, always above 1.

    Fused totals can be negative (logits, z-scores), final scores must not be. The map is monotone:
    2 + t for t >= 0, and 1 + 1 / (1 - t) below, which unlike an exponential keeps very low totals apart.
    """
    return 2.0 + total if total >= 0 else 1.0 + 1.0 / (1.0 - total)


def tail_score(rank: int, rank_window: int) -> float:
    """The final score of a hit behind the rank window, always below 1.

    It depends on the rank alone, so that any page past the window can be answered without its predecessors.
    """
    return rank_window / rank
