"""Whether a difference between variants is more than chance: paired tests over the queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rebridge.errors import ConfigError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rebridge.evaluation.model import Result

Drawn = TypeVar("Drawn", np.bool_, np.float64)

#: How many sign flips a test draws, and how many resamples an interval.
RESAMPLES = 10_000
CONFIDENCE = 0.95
#: Random numbers drawn at a time: bounds memory at about 16 MB.
_AT_A_TIME = 2_000_000
#: Sums that are equal on paper may differ by so much of the largest one.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant beside the one that it is compared with, over the same queries.

    Attributes:
        variant: its name.
        baseline: the other's name.
        measure: what both were measured by.
        mean: of the variant.
        baseline_mean: of the other.
        difference: ``mean - baseline_mean``.
        low: lower end of the 95% confidence interval of the mean difference.
        high: upper end.
        p: probability of a difference at least as large, in either direction, if it made no difference which of the two
            answered a query.
        p_adjusted: the same, corrected for all comparisons that were made together.
        wins: queries for which the variant's value is higher.
        ties: queries for which both are equal.
        losses: queries for which it is lower.
    """

    variant: str
    baseline: str
    measure: str
    mean: float
    baseline_mean: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    wins: int
    ties: int
    losses: int


def compare(results: Sequence[Result], measure: str, *, baseline: str, seed: int = 0) -> list[Comparison]:
    """Compare every other result with the baseline's.

    Args:
        results: over the same queries.
        measure: the name of one of their measures.
        baseline: the variant that the others are compared with.
        seed: of the random draws; each comparison comes out the same whichever others there are.

    Returns:
        One per result but the baseline's, in their order.

    Raises:
        ConfigError: if there is no such variant or measure, or if two results are about different queries.
    """
    named = {result.variant: result for result in results}
    if baseline not in named:
        raise ConfigError(unknown("variant", baseline, named))
    for result in results:
        if measure not in result.values:
            raise ConfigError(unknown("measure", measure, result.values))
    queries = named[baseline].values[measure].keys()
    found = []
    for result in results:
        if result.variant == baseline:
            continue
        if result.values[measure].keys() != queries:
            odd = next(iter(sorted(result.values[measure].keys() ^ queries)))
            raise ConfigError(
                f"{result.variant} and {baseline} are about different queries: only one of them has {odd!r}. "
                f"Compare runs of the same queries."
            )
        pairs = np.array([(result.values[measure][query], named[baseline].values[measure][query]) for query in queries])
        found.append((result.variant, pairs, sign_flip_test(pairs[:, 0] - pairs[:, 1], seed)))
    adjusted = holm([p for _, _, p in found])
    return [
        _comparison((variant, baseline, measure), pairs, (p, corrected), seed)
        for (variant, pairs, p), corrected in zip(found, adjusted, strict=True)
    ]


def _comparison(
    names: tuple[str, str, str], pairs: NDArray[np.float64], chance: tuple[float, float], seed: int
) -> Comparison:
    differences = pairs[:, 0] - pairs[:, 1]
    low, high = bootstrap_interval(differences, seed)
    mean, other = (float(value) for value in pairs.mean(axis=0))
    signs = [int((differences > 0).sum()), int((differences == 0).sum()), int((differences < 0).sum())]
    return Comparison(*names, mean, other, mean - other, low, high, *chance, *signs)


def sign_flip_test(differences: NDArray[np.float64], seed: int = 0) -> float:
    """Two-sided p of the paired randomisation test of Fisher.

    If both variants were the same, each difference could as well have the other sign. All combinations of signs are
    tried if there are no more than `RESAMPLES` of them, else so many are drawn, and the sample itself counts as one
    (Smucker, Allan and Carterette, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation, CIKM 2007).

    Args:
        differences: one per query.
        seed: of the draws.
    """
    moved = differences[differences != 0]  # a sign changes nothing about the others
    if not moved.size:
        return 1.0
    observed = abs(moved.sum()) - _ROUNDING * np.abs(moved).sum()
    if 2**moved.size <= RESAMPLES:
        numbers = np.arange(2**moved.size)[:, None]
        signs = 1 - 2 * (numbers >> np.arange(moved.size) & 1)
        return float((np.abs(signs @ moved) >= observed).mean())

    def as_large(generator: np.random.Generator, count: int) -> NDArray[np.bool_]:
        flips = generator.integers(0, 2, size=(count, moved.size), dtype=np.int8)
        large: NDArray[np.bool_] = np.abs(moved.sum() - 2 * (flips @ moved)) >= observed
        return large

    hits = sum(int(part.sum()) for part in _drawn(as_large, moved.size, seed))
    return (hits + 1) / (RESAMPLES + 1)


def bootstrap_interval(differences: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """The 95% confidence interval of the mean difference, by the percentile bootstrap over queries.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        differences: one per query.
        seed: of the draws.
    """

    def means(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        chosen = generator.integers(0, differences.size, size=(count, differences.size), dtype=np.int32)
        drawn: NDArray[np.float64] = differences[chosen].mean(axis=1)
        return drawn

    drawn = np.concatenate(list(_drawn(means, differences.size, seed)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _drawn(
    draw: Callable[[np.random.Generator, int], NDArray[Drawn]], size: int, seed: int
) -> Iterator[NDArray[Drawn]]:
    """`RESAMPLES` draws of so many queries, in parts that fit into memory."""
    generator = np.random.default_rng(seed)
    part = max(1, _AT_A_TIME // size)
    for start in range(0, RESAMPLES, part):
        yield draw(generator, min(part, RESAMPLES - start))


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities corrected for being several, in the order given.

    Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 1979.
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = highest
    return adjusted
