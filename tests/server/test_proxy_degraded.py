"""Searches through a proxy that cannot be reranked as they should: what the client gets then."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from tests.connectors.fake_cluster import Cluster

from rebridge.bridge import Bridge
from rebridge.errors import ScorerError
from rebridge.testing import FakeScorer
from rebridge_elasticsearch.connector import ElasticsearchConnector

from .fake_engines import cluster
from .proxying import CONFIG, ask, proxied
from .raw_upstream import EMPTY, Raw, listening
from .shops import BODY, KIND, Shop, ids, shops

QUIET = CONFIG.model_copy(update={"annotate": "none"})


@pytest.fixture(scope="module")
def own_shop() -> Iterator[Shop]:
    yield from shops()


@pytest.fixture
def shop(own_shop: Shop) -> Shop:
    own_shop.raw.answer = cluster(own_shop.engine)
    own_shop.raw.got.clear()
    own_shop.seen.clear()
    return own_shop


class TestDegraded:
    def test_scorers_that_fail(self) -> None:
        """Without scores the first stage's order is the answer, and both the header and the reply say so."""
        for shop in shops(QUIET, FakeScorer(error=ScorerError("/secret/path"))):
            _, headers, reply = shop.search()
            assert ids(reply) == ["d1", "d2", "d3"]
            assert dict(headers)["x-rerank"] == "degraded; reason=scorer_failed; pipeline=*; model=fake"
            assert reply["_rerank"]["reason"] == "scorer_failed"
            assert "secret" not in json.dumps(reply)

    def test_failures_that_are_wanted(self) -> None:
        """Where the pipeline wants a failure, it is an error in the engine's style that tells no secrets."""
        wanted = CONFIG.model_copy(update={"on_error": "raise"})
        for shop in shops(wanted, FakeScorer(error=ScorerError("/secret/path"))):
            status, headers, reply = shop.search()
            assert (status, reply["error"]["type"], reply["status"]) == (500, "rerank_error", 500)
            assert dict(headers)["x-rerank"] == "degraded; reason=scorer_failed; pipeline=*"
            lines = b"{}\n" + json.dumps(BODY).encode() + b"\n"
            many = shop.search(lines, "/shop/_msearch", ("content-type", "application/x-ndjson"))[2]
            assert many["responses"][0]["error"]["type"] == "rerank_error"
            assert "secret" not in json.dumps([reply, many])

    def test_windows_that_are_refused(self) -> None:
        """Where the index refuses the window, the client's own request is answered."""
        for shop in shops(engine=Cluster(limit=15)):
            _, headers, reply = shop.search()
            assert ids(reply) == ["d1", "d2", "d3"]
            assert dict(headers)["x-rerank"] == "degraded; reason=window_refused; pipeline=*"

    def test_refused_searches(self) -> None:
        """A search that the engine refuses gets the engine's own words for it, to the byte."""
        for shop in shops(engine=Cluster(limit=5)):
            body = json.dumps({**BODY, "size": 9}).encode()
            status, headers, text = ask(shop.proxy, "POST", "/shop/_search", [KIND], body)
            assert status == 400
            assert text == Cluster(limit=5).answer("POST", "/shop/_search", body, {})[1]
            assert dict(headers)["x-rerank"] == "bypassed; reason=refused; pipeline=*"

    def test_odd_replies(self, shop: Shop) -> None:
        """A reply that is no search reply is handed on as it is."""
        shop.raw.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n<a></a>\n"
        _, headers, text = ask(shop.proxy, "POST", "/shop/_search", [KIND], json.dumps(BODY).encode())
        assert text == b"<a></a>\n"
        assert dict(headers)["x-rerank"] == "bypassed; reason=odd_reply; pipeline=*"

    def test_mistakes_of_ours(self) -> None:
        """If looking into a search fails in a way that nobody thought of, the engine's own answer comes."""

        class Clumsy(ElasticsearchConnector):
            def exchange(self, *_: Any) -> Any:
                raise ZeroDivisionError

        with listening(Raw(cluster(Cluster()))) as raw:
            pipelines = Bridge(Clumsy(), CONFIG, scorer=FakeScorer())
            with proxied("elasticsearch", raw.url, pipelines) as proxy:
                _, headers, text = ask(proxy, "POST", "/shop/_search", [KIND], json.dumps(BODY).encode())
        assert ids(json.loads(text)) == ["d1", "d2", "d3"]
        assert dict(headers)["x-rerank"] == "degraded; reason=rebridge_failed"

    def test_deep_bodies(self, shop: Shop) -> None:
        """A body that is nested without end is the engine's to refuse."""
        for depth in (900, 100_000):
            body = b'{"query":' + b'{"bool":{"must":' * depth + b'{"match":{"title":"a"}}' + b"}}" * depth + b"}"
            shop.raw.answer = EMPTY
            got = ask(shop.proxy, "POST", "/shop/_search", [KIND], body)
            assert got[0] == 200
            assert shop.raw.got[-1].body == body


def test_clients_that_do_not_wait() -> None:
    """When a client goes away, its scoring is given up."""

    class Stuck(FakeScorer):
        given: list[Future[Any]]

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.given.append(super().submit(*args, **kwargs))
            return self.given[-1]

    stuck = Stuck(hangs=True)
    stuck.given = []
    for shop in shops(CONFIG, stuck):
        with pytest.raises(TimeoutError):
            ask(shop.proxy, "POST", "/shop/_search", [KIND], json.dumps(BODY).encode(), timeout=0.5)
        (future,) = stuck.given
        ends = time.monotonic() + 5
        while not future.cancelled() and time.monotonic() < ends:
            time.sleep(0.01)
        assert future.cancelled()
