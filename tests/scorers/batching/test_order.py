"""The worker's order: budget, fairness, windows, and batches that jobs share."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ScorerError
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.tokens import Tokens
from rebridge.steps import Windows

from .conftest import WAIT, Fake, Kept, busy, value

if TYPE_CHECKING:
    from collections.abc import Callable


jobs_of_texts = st.lists(
    st.tuples(st.text("ab", max_size=4), st.lists(st.text("xyz", max_size=30), max_size=25)), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(jobs=jobs_of_texts, budget=st.integers(1, 120), apart=st.booleans())
def test_any_mix_of_jobs(jobs: list[tuple[str, list[str]]], budget: int, apart: bool) -> None:  # noqa: FBT001 - given
    """Whatever the jobs and the budget: each passage gets its own score, in order, and no batch is over budget."""
    family = Fake(apart=apart)
    with LocalScorer("fake", family, budget) as scorer:
        family.gate.clear()
        futures = [scorer.submit(query, passages) for query, passages in jobs]
        family.gate.set()
        for (query, passages), future in zip(jobs, futures, strict=True):
            assert future.result(WAIT) == [(value(query, passage),) for passage in passages]
    for lengths in family.batches:
        assert len(lengths) == 1 or max(1, *lengths) * len(lengths) <= budget
    if not apart:
        assert sum(map(len, family.batches)) == sum(len(passages) for _, passages in jobs)


@pytest.mark.parametrize("apart", [False, True])
def test_ten_thousand_passages(make: Callable[..., Any], apart: bool) -> None:  # noqa: FBT001 - parametrised
    """A huge window is read in chunks: what waits is bounded, and all scores come in order."""
    scorer, family = make(4096, apart=apart)
    family.kept = []
    family.tokens = lambda query, passage: _Remembered(np.zeros(len(passage), np.int32), None, query, passage)
    family.forward = lambda batch: [
        tokens.passage if apart else value(tokens.query, tokens.passage) for tokens in batch
    ]
    passages = [f"passage {number} " * (number % 7) for number in range(10_000)]
    assert scorer.submit("q", passages).result(WAIT) == [(value("q", passage),) for passage in passages]


class _Remembered(Tokens):
    """Tokens that know their texts."""

    def __init__(self, ids: Any, types: Any, query: str, passage: str) -> None:
        super().__init__(ids, types)
        object.__setattr__(self, "query", query)
        object.__setattr__(self, "passage", passage)


def test_windows_come_back_per_passage(make: Callable[..., Any]) -> None:
    """Each passage has one score per window, in order."""
    scorer, _ = make()
    windows = Windows(size=2, stride=2, limit=2)
    assert scorer.submit("q", ["abcdef", "", "a"], windows=windows).result(WAIT) == [
        (value("q", "ab"), value("q", "cd")),
        (value("q", ""),),
        (value("q", "a"),),
    ]


def test_windows_must_be_possible(make: Callable[..., Any]) -> None:
    """A stride of 0 would never end."""
    scorer, _ = make()
    with pytest.raises(ScorerError, match="at least 1"):
        scorer.submit("q", ["a"], windows=Windows(size=2, stride=0, limit=2))


def test_small_job_overtakes_large_one(make: Callable[..., Any]) -> None:
    """A small job does not wait until a large one is done: it is in the first batch or two."""
    scorer, family = make(40)
    blocked = busy(scorer, family)
    large = scorer.submit("large", ["x" * 20] * 50)
    small = scorer.submit("small", ["y" * 20])
    family.gate.set()
    wait([blocked, large, small], WAIT)
    turn = next(number for number, owners in enumerate(family.owners) if "small" in owners)
    assert turn <= 2
    assert len(family.owners) > 20


def test_equal_jobs_are_done_one_after_the_other(make: Callable[..., Any]) -> None:
    """Of more jobs than can be done in time some are done: the model's time is not spread over all."""
    scorer, family = make(20)
    blocked = busy(scorer, family)
    futures = [scorer.submit(name, ["x" * 20] * 10) for name in "abcd"]
    family.gate.set()
    wait([blocked, *futures], WAIT)
    owners = [batch[0] for batch in family.owners[1:]]
    assert owners == sorted(owners)
    assert len(owners) == 40


def test_large_job_is_not_starved_by_small_ones(make: Callable[..., Any]) -> None:
    """The oldest job gets every second batch, however many smaller ones come in."""
    scorer, family = make(20)
    blocked = busy(scorer, family)
    large = scorer.submit("large", ["x" * 20] * 10)
    small = [scorer.submit("small", ["y" * 20]) for _ in range(40)]
    family.gate.set()
    wait([blocked, large, *small], WAIT)
    assert max(number for number, owners in enumerate(family.owners) if "large" in owners) <= 21


def test_batches_are_filled_across_jobs(make: Callable[..., Any]) -> None:
    """Room that one job leaves in a batch is used by another."""
    scorer, family = make(100)
    blocked = busy(scorer, family)
    futures = [scorer.submit(str(number), ["x" * 10] * 2) for number in range(5)]
    family.gate.set()
    wait([blocked, *futures], WAIT)
    assert len(family.batches) == 2  # the one that blocked, and all five jobs together


def test_passages_in_flight_are_run_once(make: Callable[..., tuple[LocalScorer[Any], Fake]]) -> None:
    """Searches over the same hits at the same time run each passage once where its output can be kept."""
    scorer, family = make(6, apart=True)
    family.store = Kept()
    first = busy(scorer, family)
    passages = ["aaaaaa", "bbbbbb", "cccccc", "dddddd"]
    futures = [scorer.submit(query, passages) for query in ("q", "r", "s")]
    family.gate.set()
    for query, future in zip(("q", "r", "s"), futures, strict=True):
        assert future.result(WAIT) == [(value(query, passage),) for passage in passages]
    first.result(WAIT)
    run = [length for batch in family.batches for length in batch if length == len(passages[0])]
    assert len(run) == len(passages)
