"""Elasticsearch and OpenSearch behind a proxy, asked by their own clients, beside what they answer directly."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import elasticsearch
import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers
import pytest
import requests
from tests.server.proxying import bridge, proxied

from rebridge import PipelineConfig
from rebridge.passages import PassageTemplate
from rebridge.testing import FakeScorer

from .query_dsl_requests import Case, Product, cases, clear, fill
from .test_wrapped_clients import MAKERS, SHOE, body_of

PREFIX = "proxied_"
_OF_THE_BODY = frozenset({"content-length", "transfer-encoding"})
CONFIG = PipelineConfig(rank_window=30, passage=PassageTemplate("{title}\n{text}"))


@dataclass(frozen=True)
class Place:
    """An engine, and the proxy in front of it."""

    product: Product
    direct: str
    proxy: str
    awaited: bool = False

    def both(self, use: Callable[[Any], Any]) -> tuple[Any, Any]:
        """What a use of the engine's own client comes to, directly and through the proxy."""
        return self._call(self.direct, use), self._call(self.proxy, use)

    def _call(self, url: str, use: Callable[[Any], Any]) -> Any:
        client = MAKERS[self.product, self.awaited](url)
        if not self.awaited:
            with client:
                return use(client)

        async def awaiting() -> Any:
            async with client:
                return await use(client)

        return asyncio.run(awaiting())


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def filled(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An engine with indices of many kinds of fields, and a proxy in front of it."""
    url = request.getfixturevalue(f"{request.param}_url")
    fill(url, request.param, PREFIX)
    with proxied(request.param, url, bridge(request.param, CONFIG)) as proxy:
        yield Place(request.param, url, proxy)
    clear(url, PREFIX)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def place(request: pytest.FixtureRequest, filled: Place) -> Place:
    """The same, for both kinds of client."""
    return Place(filled.product, filled.direct, filled.proxy, request.param)


def searching(case: Case) -> Callable[[Any], Any]:
    """A client's call for a request; elasticsearch-py changes bodies."""
    params = {key: value for key, value in case.params.items() if key not in {"from", "size"}}
    return lambda client: client.search(index=case.target(PREFIX), body=copy.deepcopy(case.body), **params)


@pytest.mark.filterwarnings(
    "ignore:Received .* via a specific parameter in the presence of a 'body':DeprecationWarning"
)
def test_replies_to_clients(place: Place) -> None:
    """A client gets what it gets directly, in type, headers, keys and values, but for order and scores."""
    compared = 0
    for case in cases(place.product):
        try:
            direct, through = place.both(searching(case))
        except elasticsearch.BadRequestError:  # elasticsearch-py puts options of the URL into the body
            assert case.params
            continue
        compared += 1
        assert type(through) is type(direct), case.name
        reply = body_of(through)
        assert reply.pop("_rerank")["status"] == "applied", case.name
        assert reply == body_of(direct), case.name
        if hasattr(direct, "meta"):
            assert steady(through.meta.headers).items() >= steady(direct.meta.headers).items(), case.name
    assert compared > 50


def steady(headers: Any) -> dict[str, str]:
    """The headers that do not depend on the body."""
    return {name.lower(): value for name, value in dict(headers).items() if name.lower() not in _OF_THE_BODY}


def test_replies_over_http(filled: Place) -> None:
    """The same over plain HTTP, with every parameter in the URL, compressed or not."""
    for number, case in enumerate(cases(filled.product)):
        headers = {"accept-encoding": ("identity", "gzip")[number % 2]}
        params = {key: ",".join(map(str, v)) if isinstance(v, list) else v for key, v in case.params.items()}
        replies = [
            requests.post(
                f"{url}/{case.target(PREFIX)}/_search", params=params, json=case.body, headers=headers, timeout=20
            )
            for url in (filled.direct, filled.proxy)
        ]
        direct, through = (body_of(reply.json()) for reply in replies)
        assert through.pop("_rerank")["status"] == "applied", case.name
        assert through == direct, case.name
        assert replies[1].headers["x-rerank"].startswith("applied; "), case.name
        assert "total;dur=" in replies[1].headers["server-timing"], case.name
        assert replies[0].headers.get("content-encoding") == replies[1].headers.get("content-encoding")


def test_get_with_a_body(filled: Place) -> None:
    """A search by GET is reranked as one by POST."""
    url = f"{filled.proxy}/{PREFIX}shoes/_search?pretty"
    reply = requests.get(url, json={"query": SHOE}, timeout=20)
    assert reply.json()["_rerank"]["status"] == "applied"
    assert reply.text.startswith("{\n")


def test_multi_search(place: Place) -> None:
    """A multi-search is answered in its order, each search as it is alone."""
    some = [case for case in cases(place.product) if not case.params]
    lines = [line for case in some for line in ({"index": case.target(PREFIX)}, case.body)]
    direct, through = map(body_of, place.both(lambda client: client.msearch(body=lines)))
    assert {item.pop("_rerank")["status"] for item in through["responses"]} == {"applied"}
    assert through == direct
    assert {item["status"] for item in direct["responses"]} == {200}


def test_best_first(filled: Place) -> None:
    """The best of the window comes first."""
    loved = FakeScorer(lambda _, passage: float("shoe 7\n" in passage))
    with proxied(filled.product, filled.direct, bridge(filled.product, CONFIG, loved)) as proxy:
        found = requests.post(f"{proxy}/{PREFIX}shoes/_search?size=1", json={"query": SHOE}, timeout=20).json()
    assert found["hits"]["hits"][0]["_id"] == "shoes-7"


def test_templates(place: Place) -> None:
    """Search templates are reranked where the engine can render them; else its own error comes through."""
    template = {"source": {"query": {"match": {"text": "{{words}}"}}, "size": 4}, "params": {"words": "shoe red"}}

    def use(client: Any) -> Any:
        return client.search_template(index=f"{PREFIX}shoes", body=template)

    if place.product == "opensearch":
        direct, through = map(body_of, place.both(use))
        assert through.pop("_rerank")["status"] == "applied"
        assert through == direct
    else:  # the build for tests has no templates
        failures = []
        for url in (place.direct, place.proxy):
            with pytest.raises(elasticsearch.ApiError) as caught:
                place._call(url, use)
            failures.append(str(caught.value))
        assert failures[0] == failures[1]


def test_failures(place: Place) -> None:
    """What the engine refuses fails with the client's own exception, in the engine's words."""
    for index, body in (
        ("nothing", {"query": SHOE}),
        (f"{PREFIX}shoes", {"query": {"nonsense": {}}}),
        (f"{PREFIX}small", {"query": SHOE, "size": 21}),
        (f"{PREFIX}shoes", {"query": {"match": {"year": "shoe"}}}),
        (f"{PREFIX}shoes", {"query": SHOE, "nonsense": 1}),
    ):
        failures = []
        for url in (place.direct, place.proxy):
            with pytest.raises((elasticsearch.ApiError, opensearchpy.TransportError)) as caught:
                place._call(url, lambda client, index=index, body=body: client.search(index=index, body=body))
            failures.append((caught.type, str(caught.value)))
        assert failures[0] == failures[1]


def test_helpers(filled: Place) -> None:
    """Bulk indexing and scanning by the clients' own helpers work, also over compressed connections."""
    helpers: Any = elasticsearch.helpers if filled.product == "elasticsearch" else opensearchpy.helpers
    for compress in (False, True):
        client = MAKERS[filled.product, False](filled.proxy, http_compress=compress)
        target = f"{PREFIX}copies"
        try:
            actions = [{"_index": target, "_id": str(number), "title": f"t {number}"} for number in range(60)]
            assert helpers.bulk(client, actions, refresh=True)[0] == 60
            found = helpers.scan(client, index=target, query={"query": {"match": {"title": "t"}}}, size=7)
            assert len(list(found)) == 60
            reply = client.search(index=target, body={"query": {"match": {"title": "t"}}})
            assert reply["_rerank"]["status"] == "applied"
            assert not client.exists(index=target, id="none")
            assert client.exists(index=target, id="1")
            assert client.indices.exists(index=target)
        finally:
            client.indices.delete(index=target)
            client.close()
