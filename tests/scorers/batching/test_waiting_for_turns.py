"""Jobs that end while their batch waits until another model has had its turn."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import DeadlineExceeded, ScorerError
from rebridge.scorers.turns import Turns

from .conftest import WAIT, busy, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rebridge.scorers.local import LocalScorer

    from .conftest import Fake

# Long enough for a batch to be filled, seconds; if it is not, the job ends sooner and the tests hold all the same.
SOON = 0.3


def stands_in_line(turns: Turns) -> None:
    """Wait until somebody waits for a turn."""
    end = time.monotonic() + WAIT
    while not turns._waiting:
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def one_batch(scorer: LocalScorer[Any], family: Fake, turns: Turns) -> Iterator[Callable[[], None]]:
    """All that is submitted inside makes one batch; what is given waits until that waits for its turn."""
    ended = threading.Event()
    taken = threading.Event()

    def other_model() -> None:
        with turns:
            taken.set()
            assert ended.wait(WAIT)

    blocked = busy(scorer, family)
    thread = threading.Thread(target=other_model)
    thread.start()
    stands_in_line(turns)

    def wait() -> None:
        family.gate.set()
        assert blocked.result(WAIT)
        assert taken.wait(WAIT)
        stands_in_line(turns)

    try:
        yield wait
    finally:
        family.gate.set()
        ended.set()
        thread.join(WAIT)


def test_a_deadline_that_passes_in_line(make: Callable[..., Any]) -> None:
    """A job whose deadline passes before the turn comes is not computed, and says so; the rest of its batch is."""
    turns = Turns()
    scorer, family = make(turns=turns)
    with one_batch(scorer, family, turns) as waits:
        late = scorer.submit("late", ["a", "b"], deadline=time.monotonic() + SOON)
        patient = scorer.submit("patient", ["a", "b"], deadline=time.monotonic() + WAIT)
        waits()
        time.sleep(SOON)
    assert patient.result(WAIT) == [(value("patient", text),) for text in "ab"]
    with pytest.raises(DeadlineExceeded, match="0 scores for 2 passages"):
        late.result(WAIT)
    assert family.owners == [["busy"], ["patient", "patient"]]
    assert (scorer.counts().batches, scorer.counts().inputs) == (2, 3)


def test_a_job_that_is_cancelled_in_line(make: Callable[..., Any]) -> None:
    """A job that nobody waits for by the time that the turn comes is not computed; the rest of its batch is."""
    turns = Turns()
    scorer, family = make(turns=turns)
    with one_batch(scorer, family, turns) as waits:
        cancelled, wanted = scorer.submit("cancelled", ["a"]), scorer.submit("wanted", ["a"])
        waits()
        assert cancelled.cancel()
    assert wanted.result(WAIT) == [(value("wanted", "a"),)]
    with pytest.raises(CancelledError):
        cancelled.result(WAIT)
    assert family.owners == [["busy"], ["wanted"]]


def test_a_batch_of_which_nothing_is_left(make: Callable[..., Any]) -> None:
    """The model computes nothing then, hands its turn on, and goes on with what comes later."""
    turns = Turns()
    scorer, family = make(turns=turns)
    with one_batch(scorer, family, turns) as waits:
        cancelled = [scorer.submit("cancelled", ["a"]) for _ in range(3)]
        waits()
        assert all(future.cancel() for future in cancelled)
    assert scorer.submit("next", ["a"]).result(WAIT) == [(value("next", "a"),)]
    assert family.owners == [["busy"], ["next"]]
    assert scorer.counts().batches == 2


def test_a_failure_is_that_of_the_jobs_that_were_computed(make: Callable[..., Any]) -> None:
    """A job that was left out because it was late does not say that the model failed."""
    turns = Turns()
    scorer, family = make(turns=turns)
    with one_batch(scorer, family, turns) as waits:
        late = scorer.submit("late", ["a"], deadline=time.monotonic() + SOON)
        failing = scorer.submit("failing", ["boom"])
        waits()
        time.sleep(SOON)
    with pytest.raises(ScorerError, match="RuntimeError: broken"):
        failing.result(WAIT)
    with pytest.raises(DeadlineExceeded):
        late.result(WAIT)
