"""Solr behind a proxy, asked by its clients and by curl, beside what it answers directly."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import pysolr
import pytest
import requests
from tests.server.peak import Peak
from tests.server.proxying import bridge, proxied

from rebridge import PipelineConfig
from rebridge.testing import FakeScorer
from rebridge_solr import AsyncSolr

from .solr_requests import REQUESTS, comparable, fill
from .solr_requests import request as named_request
from .test_solr_clients import arguments, shuffled

CONFIG = PipelineConfig.model_validate(
    {"passage": {"template": "{title}\n{note_t}"}, "rank_window": 40, "annotate": "none", "fusion": {"weight": 1.0}}
)
NAMES = [name for name in REQUESTS if not name.startswith("collapsed")]


@dataclass(frozen=True)
class Place:
    """A core or collection, directly and through a proxy."""

    direct: str
    proxy: str


@pytest.fixture(scope="module", params=["solr", "solrcloud"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A filled core or collection, and a proxy in front of it."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    fill(address)
    parts = urlsplit(address)
    with proxied("solr", f"http://{parts.netloc}", bridge("solr", CONFIG, FakeScorer(shuffled))) as proxy:
        yield Place(address, f"{proxy}{parts.path}")


def blocking(address: str, **asked: Any) -> pysolr.Results:
    return pysolr.Solr(address).search(**asked)


def awaiting(address: str, **asked: Any) -> pysolr.Results:
    async def once() -> pysolr.Results:
        async with AsyncSolr(address) as client:
            return await client.search(**asked)

    return asyncio.run(once())


@pytest.mark.parametrize("search", [blocking, awaiting])
@pytest.mark.parametrize("name", NAMES)
def test_replies_to_clients(place: Place, search: Callable[..., pysolr.Results], name: str) -> None:
    """A client gets what it gets directly but for the order of hits and their scores."""
    asked = arguments(name, rows=40)
    direct, through = search(place.direct, **asked), search(place.proxy, **asked)
    assert through.hits == direct.hits
    assert comparable(through.raw_response) == comparable(direct.raw_response)


def form(name: str, **more: Any) -> list[tuple[str, str]]:
    asked = named_request(name, **more)
    return [
        (key, str(item))
        for key, value in asked.params.items()
        for item in (value if isinstance(value, list) else [value])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_asking(place: Place, name: str) -> None:
    """By GET, by form, by JSON, at any handler, compressed or not: reranked, and as Solr's own but for that."""
    body, params = named_request(name).json, form(name, rows=40)
    ways: list[dict[str, Any]] = [{"method": "POST", "params": params, "json": body}] if body is not None else []
    if body is None:
        ways = [
            {"method": "GET", "params": params},
            {"method": "POST", "data": params},
            {"method": "POST", "data": params[:2], "params": params[2:]},
        ]
    for way in ways:
        for handler, encoding in (("select", "gzip"), ("query", "identity")):
            headers = {"accept-encoding": encoding}
            direct, through = (
                requests.request(url=f"{url}/{handler}", headers=headers, timeout=20, **way)
                for url in (place.direct, place.proxy)
            )
            assert through.headers["x-rerank"].startswith("applied; "), (name, way)
            assert comparable(through.json()) == comparable(direct.json()), (name, way)
            assert "etag" not in through.headers
            assert direct.headers["content-type"] == through.headers["content-type"]


def test_best_first(place: Place) -> None:
    """Hits come in the scorer's order, and pages put together are the ranking."""
    asked = {**arguments("edismax"), "fl": "id,title"}
    asked = {key: value for key, value in asked.items() if key not in {"rows", "start"}}
    pages = [hit for start in range(0, 30, 7) for hit in pysolr.Solr(place.proxy).search(**asked, start=start, rows=7)]
    scores = [shuffled("", hit["title"]) for hit in pages]
    assert len({hit["id"] for hit in pages}) == len(pages) > 20
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "text:shoe", "rows": "-1"},
        {"q": "text:(", "defType": "lucene"},
        {"q": "nofield:shoe"},
        {"q": "text:shoe", "sort": "nofield asc"},
        {"q": "text:shoe", "json": "{"},
    ],
)
def test_failures(place: Place, asked: dict[str, str]) -> None:
    """A request that Solr refuses fails with Solr's own words."""
    problems = []
    for address in (place.direct, place.proxy):
        with pytest.raises(pysolr.SolrError) as raised:
            pysolr.Solr(address).search(**asked)
        problems.append(str(raised.value))
    assert problems[0] == problems[1]


def test_bypassed_replies_are_the_engines(place: Place) -> None:
    """What is not reranked has Solr's own bytes and its ETag, which can be asked for again."""
    url = f"{place.proxy}/select?q=*:*&omitHeader=true&rows=2&sort=id+asc"
    direct = requests.get(url.replace(place.proxy, place.direct), timeout=20)
    through = requests.get(url, timeout=20)
    assert through.content == direct.content
    assert through.headers["x-rerank"] == "bypassed; reason=own_sort; pipeline=*"
    assert through.headers.get("etag") == direct.headers.get("etag")
    if etag := direct.headers.get("etag"):
        again = requests.get(url, headers={"if-none-match": etag}, timeout=20)
        assert (again.status_code, again.content) == (304, b"")
    for options, reason in (("wt=xml", "format"), ("wt=csv", "format"), ("json.wrf=f", "format")):
        query = f"/select?q=text:shoe&omitHeader=true&rows=2&fl=id&{options}"
        direct, through = (requests.get(url + query, timeout=20) for url in (place.direct, place.proxy))
        assert through.content == direct.content
        assert f"reason={reason}" in through.headers["x-rerank"]


def test_conditions_are_not_about_a_reranked_reply(place: Place) -> None:
    """A reply that is reranked is never ``not modified``."""
    query = f"/select?{urlencode(form('edismax', rows=3))}"
    etag = requests.get(place.direct + query, timeout=20).headers.get("etag")
    reply = requests.get(place.proxy + query, headers={"if-none-match": etag or "*"}, timeout=20)
    assert reply.status_code == 200
    assert reply.headers["x-rerank"].startswith("applied; ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "options",
    [
        ["--get", "--data-urlencode", "q=text:shoe größe", "--data", "rows=3"],
        ["--data-urlencode", "q=text:shoe", "--data", "rows=3"],
        ["--data", '{"query": "text:shoe", "limit": 3}'],
        ["--json", '{"query": "text:shoe", "limit": 3}'],
        ["--compressed", "--data", "q=text:shoe&rows=3"],
    ],
)
def test_curl(place: Place, options: list[str]) -> None:
    """Whatever curl sends is reranked, and the answer has as many hits as Solr's own."""
    found = []
    for address in (place.direct, place.proxy):
        command = ["curl", "-sS", "-D", "-", f"{address}/query", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - ours
        head, _, text = done.stdout.partition("\n\n")
        found.append((head.lower(), json.loads(text)["response"]))
    assert "x-rerank: applied" in found[1][0]
    assert found[0][1]["numFound"] == found[1][1]["numFound"] > 0
    assert len(found[0][1]["docs"]) == len(found[1][1]["docs"]) == 3


def test_writing(place: Place) -> None:
    """Documents are added and deleted through the proxy."""
    client = pysolr.Solr(place.proxy, always_commit=True)
    client.add([{"id": "proxied_1", "title": "proxied words"}])
    try:
        assert client.search("id:proxied_1").hits == 1
    finally:
        client.delete(id="proxied_1")
    assert client.search("id:proxied_1").hits == 0


def test_much_at_once(place: Place) -> None:
    """One update of more than 100 MB takes little memory, and arrives."""
    count = 1100

    def lines() -> Iterator[bytes]:
        yield b"["
        for number in range(count):
            comma = b"," if number else b""
            yield comma + json.dumps({"id": f"much_{number}", "unused_s": "x" * 100_000}).encode()
        yield b"]"

    url = f"{place.proxy}/update?commit=true&ignored=1"
    try:
        with Peak() as peak:
            headers = {"content-type": "application/json"}
            reply = requests.post(
                f"{place.proxy}/update/json/docs?f=id:/id&commit=true", data=lines(), headers=headers, timeout=120
            )
        assert reply.ok, reply.text
        assert (
            requests.get(f"{place.proxy}/select?q=id:much_*&rows=0", timeout=20).json()["response"]["numFound"] == count
        )
        assert peak.grown < 100
    finally:
        requests.post(url, json={"delete": {"query": "id:much_*"}}, timeout=60)
