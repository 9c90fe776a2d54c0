"""What goes through a proxy as it is, and what is long, on real Elasticsearch and OpenSearch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import elasticsearch
import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers
import pytest
import requests
from tests.server.peak import Peak
from tests.server.proxying import bridge, proxied

from .conftest import Secured
from .query_dsl_requests import clear, fill
from .test_proxy import CONFIG, Place, steady
from .test_wrapped_clients import MAKERS, SHOE

PREFIX = "bytes_"


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def filled(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An engine with indices of many kinds of fields, and a proxy in front of it."""
    url = request.getfixturevalue(f"{request.param}_url")
    fill(url, request.param, PREFIX)
    with proxied(request.param, url, bridge(request.param, CONFIG)) as proxy:
        yield Place(request.param, url, proxy)
    clear(url, PREFIX)


def test_bypassed_replies_are_the_engines(filled: Place) -> None:
    """A reply that is not reranked has the engine's own bytes and headers, and says why it is not."""
    for body, reason in (
        ({"query": SHOE, "sort": ["year"]}, "own_sort"),
        ({"query": SHOE, "size": 0}, "size_0"),
        ({"query": {"match_all": {}}}, "no_query_text"),
        ({"query": SHOE, "sort": ["_score", "year"]}, "tie_breaker"),
    ):
        direct, through = (
            requests.post(f"{url}/{PREFIX}shoes/_search?filter_path=-took", json=body, timeout=20)
            for url in (filled.direct, filled.proxy)
        )
        assert through.content == direct.content
        assert through.headers["x-rerank"] == f"bypassed; reason={reason}; pipeline=*"
        assert steady(direct.headers).items() <= steady(through.headers).items()


def test_other_formats(filled: Place) -> None:
    """Requests and replies in YAML and CBOR go through as they are."""
    text = b"query:\n  match:\n    text: shoe\n"
    for headers, body in (
        ({"content-type": "application/yaml"}, text),
        ({"content-type": "application/json", "accept": "application/yaml"}, json.dumps({"query": SHOE})),
        ({"content-type": "application/json", "accept": "application/cbor"}, json.dumps({"query": SHOE})),
    ):
        direct, through = (
            requests.post(f"{url}/{PREFIX}shoes/_search?filter_path=hits", data=body, headers=headers, timeout=20)
            for url in (filled.direct, filled.proxy)
        )
        assert direct.status_code == 200
        assert through.content == direct.content
        assert through.headers["x-rerank"].startswith("bypassed; reason=")


def test_numbers_of_any_size(filled: Place) -> None:
    """Numbers in documents that are wider than a double come through as they are."""
    target = f"{PREFIX}numbers"
    numbers = '{"big":12345678901234567890123,"long":0.1234567890123456789012,"wide":1.5e+400,"e":1.0E-7}'
    source = f'{{"title":"shoe","n":{numbers}}}'
    mapping = {"mappings": {"properties": {"n": {"type": "object", "enabled": False}}}}
    try:
        requests.put(f"{filled.direct}/{target}", json=mapping, timeout=20).raise_for_status()
        headers = {"content-type": "application/json"}
        url = f"{filled.direct}/{target}/_doc/1?refresh=true"
        requests.put(url, data=source, headers=headers, timeout=20).raise_for_status()
        body = {"query": {"match": {"title": "shoe"}}}
        reply = requests.post(f"{filled.proxy}/{target}/_search", json=body, timeout=20)
        assert reply.json()["_rerank"]["status"] == "applied"
        for number in ("12345678901234567890123", "0.1234567890123456789012", "1.5E+400", "1e-07"):
            assert number in reply.text
    finally:
        requests.delete(f"{filled.direct}/{target}", timeout=20)


def test_windows_that_the_index_refuses(filled: Place) -> None:
    """A search whose window the index refuses is answered as asked, and says so."""
    reply = requests.post(f"{filled.proxy}/{PREFIX}small/_search", json={"query": SHOE, "size": 5}, timeout=20)
    assert len(reply.json()["hits"]["hits"]) == 5
    assert reply.headers["x-rerank"].startswith("degraded; reason=window_refused")


def test_much_at_once(filled: Place) -> None:
    """More than 100 MB by the client's own bulk helper take little memory, and arrive."""
    helpers: Any = elasticsearch.helpers if filled.product == "elasticsearch" else opensearchpy.helpers
    target, count = f"{PREFIX}much", 1100
    mapping = {"mappings": {"properties": {"data": {"type": "object", "enabled": False}}}}
    requests.put(f"{filled.direct}/{target}", json=mapping, timeout=20).raise_for_status()
    actions = (
        {"_index": target, "_id": str(number), "data": {"text": "x" * 100_000}, "title": "t"} for number in range(count)
    )
    try:
        with MAKERS[filled.product, False](filled.proxy) as client, Peak() as peak:
            done = helpers.bulk(client, actions, max_chunk_bytes=8_000_000, refresh=True)
            assert done[0] == count
            assert client.count(index=target)["count"] == count
        assert peak.grown < 150  # with the chunks that the helper holds
    finally:
        requests.delete(f"{filled.direct}/{target}", timeout=60)


def test_tls_and_password(elasticsearch_tls: Secured) -> None:
    """The engine's certificate is checked by the authority that is given, and passwords are the engine's matter."""
    where = elasticsearch_tls
    with proxied("elasticsearch", where.url, bridge("elasticsearch", CONFIG), ca_certs=where.ca) as proxy:
        with elasticsearch.Elasticsearch(proxy, basic_auth=(where.user, where.password)) as good:
            good.index(index="secret", id="1", document={"title": "shoe"}, refresh=True)
            reply = good.search(index="secret", query={"match": {"title": "shoe"}})
        assert reply["_rerank"]["status"] == "applied"
        with (
            elasticsearch.Elasticsearch(proxy, basic_auth=(where.user, "wrong")) as bad,
            pytest.raises(elasticsearch.AuthenticationException),
        ):
            bad.search(index="secret", query={"match": {"title": "shoe"}})
        bare = requests.get(f"{proxy}/secret/_search?q=shoe", timeout=20)
        assert (bare.status_code, "www-authenticate" in bare.headers) == (401, True)
    with proxied("elasticsearch", where.url, bridge("elasticsearch", CONFIG)) as proxy:
        assert requests.get(f"{proxy}/", timeout=20).status_code == 502
