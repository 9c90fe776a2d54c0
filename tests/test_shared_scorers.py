"""Models that are loaded when they are first needed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import MissingExtra, ScorerError
from rebridge.shared_scorers import LazyScorer, SharedScorers
from rebridge.testing import FakeScorer


class Opener:
    """Opens a scorer when it is let to, and counts how often."""

    def __init__(self, *, problem: Exception | None = None, ready: bool = True) -> None:
        self.count, self.problem, self.closed = 0, problem, 0
        self.ready = threading.Event()
        if ready:
            self.ready.set()

    def __call__(self) -> FakeScorer:
        self.count += 1
        self.ready.wait(10)
        if self.problem is not None:
            raise self.problem
        opener = self

        class Scorer(FakeScorer):
            def close(self) -> None:
                opener.closed += 1

        return Scorer(lambda _query, passage: float(len(passage)))


def test_is_opened_once_for_all_who_wait() -> None:
    """Many searches at once wait for one opening, and none blocks its caller meanwhile."""
    opener = Opener(ready=False)
    scorer = LazyScorer("m", opener)
    began = time.monotonic()
    futures = [scorer.submit("q", ["abc"]) for _ in range(8)]
    assert time.monotonic() - began < 1
    assert not any(future.done() for future in futures)
    opener.ready.set()
    assert [future.result(10) for future in futures] == [[(3.0,)]] * 8
    assert opener.count == 1


def test_an_announcement_opens_and_is_handed_on() -> None:
    """A model loads while the engine searches; one that is there hears of the query."""
    opener = Opener()
    scorer = LazyScorer("m", opener)
    scorer.announce("q")
    opened = scorer.load()
    assert opener.count == 1
    heard: list[tuple[str, float | None]] = []
    opened.announce = lambda query, *, deadline=None: heard.append((query, deadline))  # type: ignore[method-assign]
    scorer.announce("q", deadline=5.0)
    assert heard == [("q", 5.0)]
    opener.problem = ScorerError("gone")
    LazyScorer("m", opener).announce("q")


def test_a_thread_that_cannot_start_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many threads, searches fail at once instead of waiting for one that never came."""

    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    scorer = LazyScorer("m", Opener())
    with monkeypatch.context() as patch:
        patch.setattr("rebridge.shared_scorers.Thread", Refused)
        for _ in range(2):
            with pytest.raises(ScorerError, match="m cannot be opened: can't start new thread"):
                scorer.submit("q", ["abc"]).result(10)
    monkeypatch.setattr(scorer, "_retry_at", 0.0)
    assert scorer.submit("q", ["abc"]).result(10) == [(3.0,)]


def test_failures_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be opened fails every search at once, whatever was wrong, until it is tried again."""
    opener = Opener(problem=MissingExtra("The model", "extra"))
    scorer = LazyScorer("m", opener)
    for _ in range(3):
        with pytest.raises(ScorerError, match="m cannot be opened: The model"):
            scorer.submit("q", ["abc"]).result(10)
    assert opener.count == 1
    opener.problem = None
    monkeypatch.setattr(scorer, "_retry_at", 0.0)
    assert scorer.submit("q", ["abc"]).result(10) == [(3.0,)]


def test_loading_now_raises_what_opening_raised() -> None:
    """Loading on purpose tells the cause itself."""
    with pytest.raises(MissingExtra):
        LazyScorer("m", Opener(problem=MissingExtra("The model", "extra"))).load()


def test_a_search_that_is_given_up_while_waiting() -> None:
    """Cancelling a search that still waits for its model costs nothing, and the others go on."""
    opener = Opener(ready=False)
    scorer = LazyScorer("m", opener)
    given_up, other = scorer.submit("q", ["a"]), scorer.submit("q", ["ab"])
    assert given_up.cancel()
    opener.ready.set()
    assert other.result(10) == [(2.0,)]
    assert wait([given_up], 10).done == {given_up}


def test_closing_and_using_again() -> None:
    """A closed scorer is opened again when it is used; one that is closed while it opens is closed then."""
    opener = Opener()
    scorer = LazyScorer("m", opener)
    scorer.load()
    scorer.close()
    scorer.close()
    assert (opener.count, opener.closed) == (1, 1)
    assert scorer.submit("q", ["ab"]).result(10) == [(2.0,)]
    opener.ready.clear()
    scorer.close()
    future = scorer.submit("q", ["abc"])
    scorer.close()
    opener.ready.set()
    future.exception(10)
    deadline = time.monotonic() + 10
    while opener.closed < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (opener.count, opener.closed) == (3, 3)


def test_equal_sections_share_a_model() -> None:
    """Pipelines with the same scorer section have one model between them; other options mean another model."""
    opened: list[Any] = []

    def opener(section: ScorerSection) -> FakeScorer:
        opened.append((section.model, section.max_length))
        return FakeScorer()

    models = SharedScorers(opener=opener)
    sections = [ScorerSection(model="a"), ScorerSection(model="a"), ScorerSection(model="a", max_length=64)]
    first, second, third = (models.get(section) for section in sections)
    assert first is second
    assert first is not third
    models.load()
    assert sorted(opened, key=str) == [("a", 64), ("a", None)]
