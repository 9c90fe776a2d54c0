"""Choosing one of many settings by their values per query, and what that choice is worth on queries it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: One value per setting (row) and query (column).
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What choosing is worth.

    Attributes:
        chosen: the setting that was chosen without each fold, one row number per fold.
        held_out: for each query the value under the setting that was chosen without it, shape (queries,).
        tuning_gain: mean over folds of what the chosen setting gains over the baseline on the queries that it was
            chosen by; as optimistic as such figures are.
    """

    chosen: tuple[int, ...]
    held_out: Values
    tuning_gain: float


def choose(values: Values, costs: Sequence[Any], own: int | None = None) -> int:
    """The setting with the highest mean, unless the pipeline's own is as good as far as these queries can tell.

    A pipeline is not changed without evidence: its own setting is kept if the best one is ahead by no more than one
    standard error of the mean difference between both. That is the one-standard-error rule (Hastie, Tibshirani and
    Friedman, The Elements of Statistical Learning, 7.10) on paired differences, since queries differ much more from
    each other than settings do. It is not used to prefer smaller rank windows: on every collection that this was tried
    on (cranfield, vaswani_npl, cacm, aws_docs) that lost relevance on held-out queries. What a search may cost is said
    by the latency budget. Of equal means the cheapest setting is chosen, then the first.

    Args:
        values: shape (settings, queries); at least two queries.
        costs: one per setting, in any type that can be ordered.
        own: the row of the pipeline's own setting; None if it is not among them.

    Returns:
        The row number of the chosen setting.
    """
    means = values.mean(axis=1).round(12)  # equal means can differ in their last digits, which must not decide
    best = min(range(len(costs)), key=lambda row: (-means[row], costs[row], row))
    if own is None:
        return best
    ahead = values[best] - values[own]
    error = ahead.std(ddof=1) / np.sqrt(len(ahead))
    return own if ahead.mean() <= error else best


def distinct(texts: Iterable[str]) -> list[int]:
    """A number for each text: equal ones, whatever their case and spaces, have the same; counted from 0."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(" ".join(text.split()).casefold(), len(numbers)) for text in texts]


def folds(texts: Sequence[str], count: int, seed: int) -> list[NDArray[np.int64]]:
    """Queries dealt out into folds by chance, those of one text into the same: each has seen itself otherwise.

    Args:
        texts: of the queries.
        count: folds, no more than there are distinct texts if none may be empty.
        seed: of the chance.

    Returns:
        The column numbers of each fold; how many distinct texts they hold differs by 1 at most.
    """
    numbers = np.array(distinct(texts))
    order = np.random.default_rng(seed).permutation(numbers.max() + 1)
    return [np.flatnonzero(np.isin(numbers, part)) for part in np.array_split(order, count)]


def cross_validate(
    values: Values,
    baseline: Values,
    costs: Sequence[Any],
    held_out: Sequence[NDArray[np.int64]],
    own: int | None = None,
) -> CrossValidation:
    """Choose a setting without each fold, and see what it does there.

    Args:
        values: shape (settings, queries).
        baseline: what the settings are compared with, shape (queries,).
        costs: as for `choose`.
        held_out: the folds, which share no query and together hold all; two at least.
        own: as for `choose`.
    """
    seen = np.empty_like(baseline)
    chosen, gains = [], []
    for fold in held_out:
        others = np.setdiff1d(np.arange(values.shape[1]), fold)
        row = choose(values[:, others], costs, own)
        seen[fold] = values[row, fold]
        chosen.append(row)
        gains.append(float((values[row, others] - baseline[others]).mean()))
    return CrossValidation(tuple(chosen), seen, sum(gains) / len(gains))
