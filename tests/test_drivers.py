"""Both drivers: deadlines, cancellation, and the same outcome for the same trouble."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from rebridge.drivers import run, run_async
from rebridge.errors import BadReply, MissingExtra
from rebridge.flow import rerank_flow
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.scorers.base import Scorer
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

PIPELINE = Pipeline("docs", MemoryConnector(), PassageTemplate("{text}"))
DOCUMENTS = {"a": {"text": "shoe"}, "b": {"text": "shoe shoe"}}


class ScorerWith(Scorer):
    """Answers every search with one future, and remembers the deadline."""

    name = "future"

    def __init__(self, future: Future[list[tuple[float, ...]]]) -> None:
        self.future = future
        self.deadline: float | None = None
        self.asked = False

    def submit(self, query: str, passages: Any, *, windows: Any = None, deadline: float | None = None) -> Any:
        self.deadline, self.asked = deadline, True
        return self.future


def done(*, result: Any = None, error: Exception | None = None) -> Future[Any]:
    future: Future[Any] = Future()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


def search(drive: Any, scorer: Scorer, pipeline: Pipeline = PIPELINE) -> Any:
    return drive(rerank_flow({"query": "shoe"}, pipeline), MemoryEngine(DOCUMENTS).search, scorer)


def test_an_announcement_that_fails_costs_nothing(drive: Any) -> None:
    """Whatever a scorer does with a query ahead of its passages, the search goes on."""

    class Refusing(FakeScorer):
        def announce(self, query: str, *, deadline: float | None = None) -> None:
            raise RuntimeError("can't start new thread")

    assert search(drive, Refusing(default=1.0)).summary.status == "applied"


def test_scores_that_are_there_count_at_the_deadline(drive: Any) -> None:
    """Scores that have arrived are used even if no time is left."""
    pipeline = replace(PIPELINE, deadline_s=0.0)
    assert search(drive, ScorerWith(done(result=[(1.0,), (2.0,)])), pipeline).summary.status == "applied"


def test_the_deadline_covers_the_engine(drive: Any) -> None:
    """The time that the engine took is gone for the scorer."""
    scorer = ScorerWith(Future())

    def slow(request: Any) -> Any:
        time.sleep(0.2)
        return MemoryEngine(DOCUMENTS).search(request)

    began = time.monotonic()
    outcome = drive(rerank_flow({"query": "shoe"}, replace(PIPELINE, deadline_s=0.1)), slow, scorer)
    assert outcome.summary.reason == "deadline"
    assert scorer.deadline is not None
    assert scorer.deadline - began < 0.19


def test_late_work_is_cancelled(drive: Any) -> None:
    """At the deadline the scorer is told that nobody waits any more."""
    scorer = ScorerWith(Future())
    assert search(drive, scorer, replace(PIPELINE, deadline_s=0.02)).summary.reason == "deadline"
    assert scorer.future.cancelled()


def test_a_timeout_inside_the_scorer_is_no_deadline(drive: Any) -> None:
    """A scorer that fails with a timeout of its own has failed; our deadline has not passed."""
    outcome = search(drive, ScorerWith(done(error=TimeoutError("peer"))), replace(PIPELINE, deadline_s=5))
    assert (outcome.summary.reason, outcome.summary.detail) == ("scorer_failed", "peer")


def test_work_given_up_by_the_scorer_degrades(drive: Any) -> None:
    """A scorer that shuts down and cancels its work degrades the search; the caller's task is not cancelled."""
    future: Future[Any] = Future()
    threading.Timer(0.05, future.cancel).start()
    outcome = search(drive, ScorerWith(future))
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "scorer_failed")


def test_cancelling_a_task_cancels_its_scoring() -> None:
    """A task that is cancelled while it waits for scores leaves no work behind."""
    scorer = ScorerWith(Future())

    async def cancelled() -> None:
        async def send(request: Any) -> Any:
            return MemoryEngine(DOCUMENTS).search(request)

        task = asyncio.create_task(run_async(rerank_flow({"query": "shoe"}, PIPELINE), send, scorer))
        while not scorer.asked:  # noqa: ASYNC110 - the flag is set far from any event loop
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert scorer.future.cancelled()


def test_interrupting_a_search_cancels_its_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while scores are waited for leaves no work behind."""
    scorer = ScorerWith(Future())

    def interrupted(_timeout: float | None = None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(scorer.future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(rerank_flow({"query": "shoe"}, PIPELINE), MemoryEngine(DOCUMENTS).search, scorer)
    assert scorer.future.cancelled()


def test_the_event_loop_is_free_while_the_engine_works() -> None:
    """A searcher's engine runs beside the event loop, not on it."""
    threads = []

    class Engine(MemoryEngine):
        def search(self, request: Any) -> Any:
            threads.append(threading.current_thread())
            return super().search(request)

    searcher = Searcher(PIPELINE, Engine(DOCUMENTS), FakeScorer(), {})
    outcome = asyncio.run(searcher.send_async({"query": "shoe"}))
    assert outcome.summary.status == "applied"
    assert threads != [threading.main_thread()]


def test_a_shared_scorer_stays_open() -> None:
    """Closing a searcher closes its engine, and not a scorer that others use too."""
    closed = []

    class Closing(FakeScorer):
        def close(self) -> None:
            closed.append("scorer")

    class Engine(MemoryEngine):
        def close(self) -> None:
            closed.append("engine")

    with Searcher(PIPELINE, Engine(), Closing(), {}) as searcher:
        searcher.close()
    assert closed == ["engine"]


@pytest.mark.parametrize("error", [BadReply("no hits", "solr", "<html>", 502), MissingExtra("Solr", "solr")])
def test_errors_travel_between_processes(error: Exception) -> None:
    """Errors with evidence can be pickled, as process pools do."""
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(copied), vars(copied)) == (str(error), vars(error))
