"""Scores -> a comparable scale. Each normaliser keeps the order: a higher score never becomes a lower one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Normaliser = Callable[[Sequence[float]], list[float]]


def identity(scores: Sequence[float]) -> list[float]:
    """The scores as they are."""
    return list(scores)


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)) in double precision, without overflow."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(value)  # never overflows, unlike exp(-value) here
    return grown / (1.0 + grown)


def sigmoid(scores: Sequence[float]) -> list[float]:
    """1 / (1 + exp(-s)): a logit becomes a value in (0, 1), whatever the other scores are."""
    return [logistic(score) for score in scores]


def min_max(scores: Sequence[float]) -> list[float]:
    """(s - min) / (max - min), in [0, 1]; 1 for each if all are equal, as for a single score."""
    if not scores:
        return []
    # Halved, so that the difference of two huge scores of opposite sign stays finite.
    low, high = min(scores) / 2, max(scores) / 2
    if low == high:
        return [1.0] * len(scores)
    return [(score / 2 - low) / (high - low) for score in scores]


def z_score(scores: Sequence[float]) -> list[float]:
    """(s - mean) / standard deviation of the population; 0 for each if all are equal."""
    if not scores:
        return []
    # Scaled first, so that squares of huge scores stay finite; the z-score does not depend on the scale.
    scale = max(abs(score) for score in scores) or 1.0
    scaled = [score / scale for score in scores]
    mean = math.fsum(scaled) / len(scaled)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scaled) / len(scaled))
    if deviation == 0.0 or min(scores) == max(scores):
        return [0.0] * len(scores)
    return [(score - mean) / deviation for score in scaled]


def ranks(scores: Sequence[float]) -> list[int]:
    """The place of each score from 1, the highest first; equal scores share the better place (1, 2, 2, 4)."""
    first_place: dict[float, int] = {}
    for place, score in enumerate(sorted(scores, reverse=True), start=1):
        first_place.setdefault(score, place)
    return [first_place[score] for score in scores]


def rank(scores: Sequence[float]) -> list[float]:
    """1 - (rank - 1) / n, in (0, 1]: only the order counts, not the distances."""
    return [1.0 - (place - 1) / len(scores) for place in ranks(scores)]


NORMALISERS: dict[str, Normaliser] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "min_max": min_max,
    "z_score": z_score,
    "rank": rank,
}
