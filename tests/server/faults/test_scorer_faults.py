"""What a client of the proxy and of the rerank API sees when a model fails."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.connectors.fake_cluster import Cluster
from tests.server.fake_engines import cluster
from tests.server.proxying import CONFIG
from tests.server.raw_upstream import Raw, listening
from tests.server.reranking import HeldScorer

from rebridge.errors import Busy, ScorerError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.rerank import Limits

from .front import Front, fronted

DEADLINE = {"x_rerank_deadline_ms": "200"}


class Changed(FakeScorer):
    """A scorer whose rows are changed before anybody gets them."""

    def __init__(self, change: Any) -> None:
        super().__init__(lambda _, text: float(len(text)))
        self._change = change

    def submit(self, *args: Any, **options: Any) -> Future[list[tuple[float, ...]]]:
        """The rows, changed."""
        future: Future[list[tuple[float, ...]]] = Future()
        future.set_result(self._change(super().submit(*args, **options).result()))
        return future


@contextmanager
def front_of(scorer: Scorer, **options: Any) -> Iterator[Front]:
    with listening(Raw(cluster(Cluster()))) as engine, fronted(engine.url, scorer, **options) as front:
        yield front


def degraded(reply: httpx.Response) -> str:
    """Why a search has the engine's order."""
    assert (reply.status_code, [hit["_id"] for hit in reply.json()["hits"]["hits"]]) == (200, ["d1", "d2", "d3"])
    status, reason = reply.headers["x-rerank"].split("; ")[:2]
    assert status == "degraded"
    return str(reason.removeprefix("reason="))


@pytest.mark.parametrize("error", [ScorerError("no such file: /secret"), RuntimeError("/secret")])
def test_the_scorer_raises(error: Exception) -> None:
    """A search: the engine's order, `degraded; reason=scorer_failed`. The API: 503. Python's words reach nobody."""
    with front_of(FakeScorer(error=error)) as front:
        search, rerank = front.search(), front.rerank()
    assert (degraded(search), rerank.status_code) == ("scorer_failed", 503)
    assert "secret" not in search.text + str(search.headers)
    assert isinstance(error, ScorerError) or "secret" not in rerank.text


def test_the_scorer_has_no_memory_left() -> None:
    """As when it raises; the server and the next requests live on."""
    with front_of(FakeScorer(error=MemoryError())) as front:
        for _ in range(2):
            assert (degraded(front.search()), front.rerank().status_code) == ("scorer_failed", 503)


def test_the_scorer_raises_where_the_pipeline_wants_an_error() -> None:
    """With `on_error: raise` a search gets 500, `rerank_error`, in the engine's form, without secrets."""
    wanted = CONFIG.model_copy(update={"on_error": "raise"})
    with front_of(FakeScorer(error=ScorerError("/secret")), config=wanted) as front:
        reply = front.search()
    assert (reply.status_code, reply.json()["error"]["type"]) == (500, "rerank_error")
    assert "secret" not in reply.text


def test_the_scorer_hangs() -> None:
    """At the deadline a search gets the engine's order, `degraded; reason=deadline`; the API 504."""
    with front_of(FakeScorer(hangs=True)) as front:
        search, rerank = front.search(**DEADLINE), front.rerank(**DEADLINE)
    assert (degraded(search), rerank.status_code) == ("deadline", 504)
    assert 0.2 <= search.elapsed.total_seconds() < 2
    assert 0.2 <= rerank.elapsed.total_seconds() < 2


def test_the_scorer_is_slow() -> None:
    """Scores that come before the deadline count, and nothing waits longer than they take."""
    scorer = HeldScorer()
    with front_of(scorer) as front, ThreadPoolExecutor() as threads:
        search = threads.submit(front.search, x_rerank_deadline_ms="10000")
        assert scorer.asked.acquire(timeout=10)
        time.sleep(0.3)
        scorer.futures[0].set_result([(float(n),) for n in range(20)])
        reply = search.result()
    assert reply.headers["x-rerank"].startswith("applied")
    assert 0.3 <= reply.elapsed.total_seconds() < 3


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_the_scorer_gives_no_numbers(odd: float) -> None:
    """A search: the engine's order, `scorer_failed`. The API: a finite score for every document all the same."""
    with front_of(FakeScorer(default=odd)) as front:
        search, rerank = front.search(), front.rerank()
    scores = [result["relevance_score"] for result in rerank.json()["results"]]
    assert len(scores) == 2
    assert all(map(math.isfinite, scores))
    assert degraded(search) == "scorer_failed"


def test_the_scorer_gives_some_nans() -> None:
    """A search: all others are reranked. The API: that document comes last, with a finite score."""
    with front_of(FakeScorer(lambda _, text: math.nan if text == "shoe 2" else float(len(text)))) as front:
        reply = front.search()
        results = front.rerank(json.dumps({"query": "q", "documents": ["shoe 2", "a"]}).encode()).json()["results"]
    assert reply.headers["x-rerank"].startswith("applied")
    assert [result["index"] for result in results] == [1, 0]
    assert all(math.isfinite(result["relevance_score"]) for result in results)


@pytest.mark.parametrize(
    "change", [lambda rows: rows[:-1], lambda rows: [*rows, (1.0,)], lambda rows: [()] * len(rows)]
)
def test_the_scorer_gives_another_number_of_scores(change: Any) -> None:
    """A search: the engine's order, `scorer_failed`. The API: 503. Never scores of other documents."""
    with front_of(Changed(change)) as front:
        assert (degraded(front.search()), front.rerank().status_code) == ("scorer_failed", 503)


def test_the_scorer_is_busy() -> None:
    """A search: the engine's order, `degraded; reason=busy`. The API: 429 with `Retry-After`."""
    with front_of(FakeScorer(error=Busy("much to do", 2.5))) as front:
        search, rerank = front.search(), front.rerank()
    assert degraded(search) == "busy"
    assert (rerank.status_code, rerank.headers["retry-after"]) == (429, "3")


def test_the_queue_is_full() -> None:
    """The API: 429 with `Retry-After` at once; those who wait are answered."""
    scorer = HeldScorer()
    with front_of(scorer, limits=Limits(queue=1)) as front, ThreadPoolExecutor() as threads:
        waiting = threads.submit(front.rerank)
        assert scorer.asked.acquire(timeout=10)
        refused = front.rerank()
        scorer.futures[0].set_result([(1.0,), (2.0,)])
        assert waiting.result().status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.elapsed.total_seconds() < 1


def test_the_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing: deadlines and timings do not follow the time of day."""
    with front_of(FakeScorer(hangs=True)) as front:
        for jump in (86_400.0, -86_400.0):
            now = time.time
            monkeypatch.setattr(time, "time", lambda now=now, jump=jump: now() + jump)
            search, rerank = front.search(**DEADLINE), front.rerank(**DEADLINE)
            monkeypatch.undo()
            assert (degraded(search), rerank.status_code) == ("deadline", 504)
            assert 0.2 <= search.elapsed.total_seconds() < 2
            assert 0.2 <= rerank.elapsed.total_seconds() < 2
