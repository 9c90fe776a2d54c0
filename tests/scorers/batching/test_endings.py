"""Jobs that end otherwise than with all scores: cancelled, too late, failed, out of memory, without a score."""

from __future__ import annotations

import math
import time
from concurrent.futures import CancelledError, wait
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import DeadlineExceeded, ScorerError

from .conftest import WAIT, busy, value

if TYPE_CHECKING:
    from collections.abc import Callable


def test_cancelled_job_costs_nothing_more(make: Callable[..., Any]) -> None:
    """A job that is cancelled while it waits is never computed; those who wait for it are told."""
    scorer, family = make()
    blocked = busy(scorer, family)
    cancelled = scorer.submit("cancelled", ["a"] * 30)
    after = scorer.submit("after", ["a"])
    assert cancelled.cancel()
    family.gate.set()
    assert after.result(WAIT)
    assert blocked.result(WAIT)
    assert wait([cancelled], WAIT).done
    with pytest.raises(CancelledError):
        cancelled.result(0)
    assert "cancelled" not in {owner for owners in family.owners for owner in owners}


def test_cancelling_between_batches(make: Callable[..., Any]) -> None:
    """A job that is being computed stops at the next batch."""
    scorer, family = make(10)
    family.gate.clear()
    future = scorer.submit("q", ["x" * 10] * 20)
    assert family.entered.wait(WAIT)
    assert future.cancel()
    family.gate.set()
    assert scorer.submit("next", ["a"]).result(WAIT)
    assert sum(owners == ["q"] for owners in family.owners) == 1


def test_deadline_that_has_passed(make: Callable[..., Any]) -> None:
    """Work that nobody waits for is not begun."""
    scorer, family = make()
    with pytest.raises(DeadlineExceeded, match="0 scores for 1 passages"):
        scorer.submit("late", ["a"], deadline=time.monotonic() - 1).result(WAIT)
    assert family.batches == []


def test_deadline_between_batches(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that passes during a batch ends the job after it; jobs without one go on."""
    now = [100.0]
    monkeypatch.setattr("rebridge.scorers.jobs.time.monotonic", lambda: now[0])
    scorer, family = make(10)
    family.gate.clear()
    late = scorer.submit("late", ["x" * 10] * 20, deadline=101.0)
    assert family.entered.wait(WAIT)
    patient = scorer.submit("patient", ["a"])
    now[0] = 102.0
    family.gate.set()
    with pytest.raises(DeadlineExceeded):
        late.result(WAIT)
    assert patient.result(WAIT) == [(value("patient", "a"),)]


def test_failing_batch_fails_only_its_jobs(make: Callable[..., Any]) -> None:
    """An error of the model reaches the jobs in that batch, with its cause; the worker goes on."""
    scorer, family = make(4)
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["boom"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="RuntimeError: broken") as caught:
        bad.result(WAIT)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert good.result(WAIT)
    assert blocked.result(WAIT)


def test_failing_tokeniser_fails_only_its_job(make: Callable[..., Any]) -> None:
    """An error while tokenising reaches that job alone."""
    scorer, family = make()
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["unreadable"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="cannot read"):
        bad.result(WAIT)
    assert good.result(WAIT)
    assert blocked.result(WAIT)


@pytest.mark.parametrize("most", [1, 3])
def test_out_of_memory_halves_the_batch(make: Callable[..., Any], most: int) -> None:
    """A batch that does not fit is split until it does, and later batches are smaller from the start."""
    scorer, family = make(1000, most=most)
    passages = ["x" * 10] * 16
    assert scorer.submit("q", passages).result(WAIT) == [(value("q", passage),) for passage in passages]
    assert max(map(len, family.batches)) <= most
    assert scorer._worker._budget.tokens <= 10 * most


def test_input_that_never_fits(make: Callable[..., Any]) -> None:
    """One input too many for the memory even alone fails its own job with advice, and no other."""
    scorer, family = make(1000)
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["huge"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="lower max_length"):
        bad.result(WAIT)
    assert good.result(WAIT) == [(value("good", "fine"),)]
    assert blocked.result(WAIT)


def test_passage_without_a_score(make: Callable[..., Any]) -> None:
    """NaN stays with its own passage; `raw_scores` names it."""
    scorer, _ = make()
    first, odd, last = scorer.submit("q", ["a", "nan", "b"]).result(WAIT)
    assert math.isnan(odd[0])
    assert (first, last) == ((value("q", "a"),), (value("q", "b"),))
    with pytest.raises(ScorerError, match=r"no finite score for the passages \[1\]"):
        scorer.raw_scores("q", ["a", "nan"])


def test_no_score_at_all(make: Callable[..., Any]) -> None:
    """A model that gives only NaN has failed."""
    scorer, _ = make()
    with pytest.raises(ScorerError, match="no finite score"):
        scorer.submit("q", ["nan", "nan"]).result(WAIT)
