"""Scores that processes share in a Redis: a real server, which dies, hangs, and holds what others wrote."""

from __future__ import annotations

import itertools
import logging
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import MissingExtra, ScorerError
from rebridge.scorers.score_cache import CachedScorer, MemoryScores
from rebridge.scorers.sections import open_section
from rebridge.testing import FakeScorer

redis = pytest.importorskip("redis", reason="this needs the extra: pip install 'rebridge[redis]'")

from rebridge.scorers.score_cache import shared  # noqa: E402 - only where redis is
from rebridge.scorers.score_cache.shared import RedisScores  # noqa: E402

from .redis_server import PASSWORD, Server, until  # noqa: E402

Member = Callable[..., CachedScorer]
#: What a search may take that waits for nobody: much longer than it does, and much shorter than any time limit of TCP.
SOON = 1.5


class Late(FakeScorer):
    """Answers when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: list[Future[list[tuple[float, ...]]]] = []

    def submit(self, query: str, passages: Sequence[str], **_: Any) -> Future[list[tuple[float, ...]]]:
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    """A Redis that runs."""
    with Server(tmp_path) as running:
        yield running


@pytest.fixture
def member() -> Iterator[Member]:
    """(scorer, address) -> it with a cache, as in a process of its own."""
    with ExitStack() as owned:

        def build(scorer: FakeScorer, url: str, *, told: bool = True, ttl_s: float = 60) -> CachedScorer:
            scores = RedisScores(url, "the place", ttl_s)
            return owned.enter_context(CachedScorer(scorer, "model", MemoryScores(1000, 60), scores, told=told))

        yield build


_numbers = itertools.count()


def connected(server: Server, scorer: CachedScorer) -> CachedScorer:
    """The scorer, once what it scores comes to be in Redis: no search waits for a connection."""

    def shares() -> bool:
        before = server.client.dbsize()
        scorer.submit("connected?", [str(next(_numbers))]).result(10)
        time.sleep(0.02)
        return bool(server.client.dbsize() > before)

    until(shares)
    return scorer


def kept(server: Server, scorer: CachedScorer, passages: Sequence[str]) -> None:
    """Have passages scored, and wait until Redis has their scores."""
    wanted = server.client.dbsize() + len(passages)
    scorer.submit("q", passages).result(10)
    until(lambda: server.client.dbsize() >= wanted)


def timed(scorer: CachedScorer, passage: str) -> float:
    """How long a search takes, seconds."""
    began = time.monotonic()
    assert scorer.submit("q", [passage]).result(10) == [(1.0,)]
    return time.monotonic() - began


def test_processes_share(store: Server, member: Member) -> None:
    """What one process had computed, another one does not compute; each passage for itself."""
    first = connected(store, member(FakeScorer({"a": 0.1, "b": -1e300}), store.url))
    kept(store, first, ["a", "b"])
    model = FakeScorer(default=7.0)
    second = connected(store, member(model, store.url))
    model.calls.clear()
    hits = second.counts().score_hits
    assert second.submit("q", ["b", "new", "a", "b"]).result(10) == [(-1e300,), (7.0,), (0.1,), (-1e300,)]
    assert model.calls == [("q", ("new",))]
    assert second.counts().score_hits == hits + 3


def test_scores_are_forgotten_after_a_while(store: Server, member: Member) -> None:
    """Every entry has its time, after which Redis forgets it."""
    kept(store, connected(store, member(FakeScorer(), store.url, ttl_s=30)), ["a", "b"])
    assert all(0 < store.client.pttl(key) <= 30_000 for key in store.client.keys("*"))


@pytest.mark.parametrize(
    "value", [b"", b"1234567", struct.pack("<d", float("nan")), struct.pack("<2d", 1, float("inf"))]
)
def test_what_others_wrote_is_no_score(store: Server, member: Member, value: bytes) -> None:
    """A value that holds no scores is as good as none."""
    kept(store, connected(store, member(FakeScorer(default=1.0), store.url)), ["a"])
    other = connected(store, member(FakeScorer(default=3.0), store.url))
    for key in store.client.keys("*"):
        store.client.set(key, value)
    assert other.submit("q", ["a"]).result(10) == [(3.0,)]


def test_a_peer_is_believed_only_once_it_has_answered(store: Server, member: Member) -> None:
    """How a remote model's scores are to be read is told by its first answer; until then none are believed."""
    kept(store, connected(store, member(FakeScorer(default=1.0), store.url)), ["a"])
    model = FakeScorer(default=2.0, activation="sigmoid")
    scorer = member(model, store.url, told=False)
    assert scorer.submit("q", ["a"]).result(10) == [(2.0,)]
    connected(store, scorer)
    kept(store, connected(store, member(FakeScorer(default=1.0), store.url)), ["b"])
    assert scorer.submit("q", ["b"]).result(10) == [(1.0,)]


def test_a_redis_that_dies_costs_no_search(
    store: Server, member: Member, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches go on without it, one record tells of it without its password, and it is used again once it is back."""
    monkeypatch.setattr(shared, "_RECHECK_S", 0.1)
    scorer = connected(store, member(FakeScorer(default=1.0), store.url))
    with caplog.at_level(logging.INFO, logger="rebridge"):
        store.stop()
        for number in range(20):
            assert timed(scorer, f"a{number}") < SOON
            time.sleep(0.02)
    assert len([record for record in caplog.records if "the place" in record.getMessage()]) == 1
    assert PASSWORD not in caplog.text
    store.start()
    connected(store, scorer)


def test_a_redis_that_hangs_costs_one_search_a_moment(store: Server, member: Member) -> None:
    """A search waits for it for tens of milliseconds, and the next ones not at all."""
    scorer = connected(store, member(FakeScorer(default=1.0), store.url))
    store.signal(signal.SIGSTOP)
    assert timed(scorer, "a") < SOON
    began = time.monotonic()
    for number in range(100):
        timed(scorer, f"b{number}")
    assert time.monotonic() - began < SOON  # 100 waits would be 5 s


def test_a_model_that_cannot_be_closed(store: Server) -> None:
    """What fails to close does not leave the connection open."""

    class Stuck(FakeScorer):
        def close(self) -> None:
            raise ScorerError("stuck")

    scores = RedisScores(store.url, "the place", 60)
    with pytest.raises(ScorerError, match="stuck"):
        CachedScorer(Stuck(), "model", MemoryScores(10, 60), scores).close()
    with pytest.raises(ScorerError, match="closed"):
        scores.known([b"a"])


def test_something_else_listens(member: Member) -> None:
    """A server that is no Redis costs no search either."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()

        threading.Thread(target=talk, daemon=True).start()
        scorer = member(FakeScorer(default=1.0), f"redis://127.0.0.1:{listening.getsockname()[1]}")
        assert all(timed(scorer, str(number)) < SOON for number in range(10))


def test_giving_up_while_redis_is_asked(store: Server, member: Member) -> None:
    """A search that is cancelled before Redis has answered asks the model for nothing, and Redis stays in use."""
    model = FakeScorer(default=1.0)
    scorer = connected(store, member(model, store.url))
    model.calls.clear()
    store.signal(signal.SIGSTOP)
    future = scorer.submit("q", ["a"])
    assert future.cancel()
    store.signal(signal.SIGCONT)
    time.sleep(0.1)
    assert model.calls == []
    connected(store, scorer)


def test_a_closed_cache(store: Server, member: Member) -> None:
    """What is scored while the cache closes is still answered."""
    scores = RedisScores(store.url, "the place", 60)
    model = Late()
    scorer = CachedScorer(model, "model", MemoryScores(10, 60), scores)
    future = scorer.submit("q", ["a"])
    until(lambda: model.futures)
    scorer.close()
    model.futures[0].set_result([(1.0,)])
    assert future.result(10) == [(1.0,)]


def test_without_its_package(cross_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that names a Redis says which extra is missing."""
    monkeypatch.setitem(sys.modules, "rebridge.scorers.score_cache.shared", None)
    section = {"model": str(cross_encoder), "device": "cpu", "score_cache": {"redis": "redis://localhost"}}
    with pytest.raises(MissingExtra, match=r"rebridge\[redis\]"):
        open_section(ScorerSection.model_validate(section))


def test_a_pipelines_redis(store: Server, cross_encoder: Path) -> None:
    """Two processes with the same section have the same scores, which the second one does not compute."""
    section = ScorerSection.model_validate(
        {"model": str(cross_encoder), "device": "cpu", "score_cache": {"redis": store.url}}
    )
    assert PASSWORD not in repr(section)
    with open_section(section) as first, open_section(section) as second:
        assert isinstance(first, CachedScorer)
        assert isinstance(second, CachedScorer)
        connected(store, first)
        connected(store, second)
        kept(store, first, ["red shoes", "a boat"])
        computed = second.counts().inputs
        assert second.score("q", ["red shoes", "a boat"]) != []
        assert second.counts().inputs == computed + 2  # after every layer, which is kept apart
        assert second.submit("q", ["red shoes", "a boat"]).result(10) == first.submit(
            "q", ["red shoes", "a boat"]
        ).result(10)
        assert second.counts().inputs == computed + 2
