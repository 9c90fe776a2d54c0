"""Searches of Solr through a proxy: every way of asking, and what the engine gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.connectors.fake_solr import QUIET, FakeSolr, last

from rebridge.testing import FakeScorer

from .fake_engines import solr
from .proxying import ask, bridge, proxied
from .raw_upstream import EMPTY, Got, Raw, listening

FORM = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")
JSON = ("content-type", "application/json")


class Shop:
    """Solr in memory and a proxy in front of it."""

    def __init__(self, raw: Raw, engine: FakeSolr, proxy: str) -> None:
        self.raw, self.engine, self.proxy = raw, engine, proxy

    def ask(self, target: str, headers: Any = (), body: bytes | None = None) -> tuple[dict[str, str], Any]:
        """The headers and the JSON value of a reply."""
        status, got, text = ask(self.proxy, "GET" if body is None else "POST", target, list(headers), body)
        assert status == 200, text
        return dict(got), json.loads(text)

    def searches(self) -> list[Got]:
        """The requests but for those about the handler."""
        about = (b"echoParams=all", b"schema/uniquekey")
        return [got for got in self.raw.got if not any(word in got.line for word in about)]


@pytest.fixture
def engine() -> FakeSolr:
    return FakeSolr()


@pytest.fixture
def shop(engine: FakeSolr) -> Iterator[Shop]:
    pipelines = bridge("solr", QUIET, FakeScorer(last))
    with listening(Raw(solr(engine))) as raw, proxied("solr", raw.url, pipelines) as proxy:
        yield Shop(raw, engine, proxy)


def ids(reply: Any) -> list[str]:
    return [hit["id"] for hit in reply["response"]["docs"]]


WAYS: dict[str, tuple[str, list[tuple[str, str]], bytes | None]] = {
    "URL": ("/solr/shop/select?q=shoe&rows=3", [], None),
    "slash": ("/solr/shop/select/?q=shoe&rows=3", [], None),
    "query": ("/solr/shop/query?q=shoe&rows=3", [], None),
    "own handler": ("/solr/shop/my/handler?q=shoe&rows=3", [], None),
    "qt": ("/solr/shop/select?q=shoe&rows=3&qt=/mine", [], None),
    "form": ("/solr/shop/select", [FORM], b"q=shoe&rows=3"),
    "form and URL": ("/solr/shop/select?rows=3", [FORM], b"q=shoe"),
    "twice": ("/solr/shop/select?rows=3", [FORM], b"q=shoe&rows=9"),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_asking(shop: Shop, way: str) -> None:
    """The best of the window come first, however the request is written."""
    headers, reply = shop.ask(*WAYS[way])
    assert ids(reply) == ["d19", "d18", "d17"]
    assert headers["x-rerank"] == "applied; pipeline=*; model=fake"
    assert headers["content-type"] == "application/json;charset=utf-8"
    assert not {"etag", "last-modified"} & headers.keys()


def test_what_solr_gets(shop: Shop) -> None:
    """Parameters that stay are sent as they were written, those of a form in the form; conditions are not sent."""
    shop.ask("/solr/shop/select?fq=a%3Ab+c&x", [FORM, ("if-none-match", "a")], b"q=shoe&rows=3&y=%C3%BC&y=2")
    (got,) = shop.searches()
    assert got.line == b"POST /solr/shop/select?fq=a%3Ab+c&x HTTP/1.1"
    assert got.body.startswith(b"q=shoe&y=%C3%BC&y=2&")
    assert parse_qs(got.body.decode())["rows"] == ["20"]
    assert got.header(b"content-length") == str(len(got.body)).encode()
    assert got.header(b"if-none-match") is None


def test_json_requests(shop: Shop) -> None:
    """A body of the JSON request API stays as it is; what is asked for besides is in the URL. So with curl's forms."""
    body = b'{"query": "text:shoe", "limit": 3, "n": 1.0e3}'
    for headers in ([JSON], [FORM, ("user-agent", "curl/8")]):
        shop.ask("/solr/shop/query", headers, body)
        got = shop.searches()[-1]
        assert got.body == body
        assert "json.limit=20" in got.line.decode()
    shop.raw.answer = EMPTY
    got = ask(shop.proxy, "POST", "/solr/shop/query", [FORM, ("user-agent", "other")], body)[1]
    assert dict(got)["x-rerank"].startswith("bypassed; reason=no_query_text")


def test_words_for_us_alone(shop: Shop) -> None:
    """Words for the model do not reach Solr, wherever they stand."""
    shop.ask("/solr/shop/select?q=shoe&rq.text=boots")
    shop.ask("/solr/shop/select?q=shoe&rq.text=boots&sort=id+asc")
    shop.ask("/solr/shop/query", [JSON], b'{"query": "shoe", "params": {"rq.text": "boots"}}')
    assert not any(b"boots" in got.line + got.body for got in shop.raw.got)
    assert shop.searches()[1].line == b"GET /solr/shop/select?q=shoe&sort=id+asc HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "headers", "body", "reason"),
    [
        ("/solr/shop/select?q=shoe&sort=price+asc", [], None, "own_sort"),
        ("/solr/shop/select?q=shoe&wt=xml", [], None, "format"),
        ("/solr/shop/select?q=%FFshoe&wt=javabin&x=%zz", [], None, "format"),
        ("/solr/shop/select?q=*:*", [], None, "no_query_text"),
        ("/solr/shop/select?q=shoe&ie=latin1", [], None, "unreadable_params"),
        ("/solr/shop/mlt?q=shoe", [], None, "more_like_this"),
        ("/solr/shop/select", [FORM], b"q=shoe&group=true", "grouped"),
        ("/solr/shop/query", [JSON], b"{query: 'shoe'}", "unreadable_body"),
        ("/solr/shop/query", [JSON], b"[]", "unreadable_body"),
        ("/solr/shop/query", [("content-type", "text/xml")], b"<a/>", "unreadable_body"),
    ],
)
def test_bypassed(shop: Shop, target: str, headers: list[tuple[str, str]], body: bytes | None, reason: str) -> None:
    """What is not reranked goes out and comes back to the byte, ETag and all."""
    shop.raw.answer = b'HTTP/1.1 200 OK\r\netag: "1"\r\ncontent-length: 7\r\n\r\n{ "a":1'
    got = ask(shop.proxy, "GET" if body is None else "POST", target, headers, body)
    assert got[2] == b'{ "a":1'
    assert dict(got[1])["etag"] == '"1"'
    assert dict(got[1])["x-rerank"] == f"bypassed; reason={reason}; pipeline=*"
    (sent,) = shop.raw.got
    assert (sent.line.decode().split(" ")[1], sent.body) == (target, body or b"")


@pytest.mark.parametrize(
    "target",
    [
        "/solr/shop/update?q=a", "/solr/shop/update/json/docs", "/solr/admin/cores?q=a", "/solr/shop/schema/fields",
        "/solr/shop/get?id=1", "/solr/shop/%75pdate", "/solr/shop", "/solr//select?q=a", "/api/c/shop/select?q=a",
        "/solr/js/angular/app.js?q=a", "/solr/shop/admin/file?q=a", "/solr/shop/stream?q=a",
    ],
)  # fmt: skip
def test_no_searches(shop: Shop, target: str) -> None:
    """What is no search is not looked at."""
    shop.raw.answer = EMPTY
    assert "x-rerank" not in dict(ask(shop.proxy, "GET", target)[1])
    assert [got.line.decode() for got in shop.raw.got] == [f"GET {target} HTTP/1.1"]


def test_handlers_are_asked_once(shop: Shop) -> None:
    """What a handler does by itself is asked with the first search, under its client's own headers."""
    for _ in range(3):
        shop.ask("/solr/shop/select?q=shoe&rows=2", [("authorization", "Basic a"), ("accept-encoding", "gzip")][:1])
    assert len(shop.searches()) == 3
    assert len(shop.raw.got) == 5
    assert {got.header(b"authorization") for got in shop.raw.got} == {b"Basic a"}


def test_defaults_of_handlers(shop: Shop, engine: FakeSolr) -> None:
    """A handler that sorts by itself is left alone."""
    engine.defaults = {"sort": ["price asc"]}
    headers, reply = shop.ask("/solr/shop/select?q=shoe&rows=2")
    assert headers["x-rerank"] == "bypassed; reason=own_sort; pipeline=*"
    assert ids(reply) == ["d0", "d1"]


def test_strangers_do_not_spoil_it(shop: Shop, engine: FakeSolr) -> None:
    """A client that may not search gets Solr's refusal, and others are reranked all the same."""
    engine.answers = {"select": PermissionError()}
    got = ask(shop.proxy, "GET", "/solr/shop/select?q=shoe&rows=2")
    assert (got[0], dict(got[1])["x-rerank"]) == (401, "bypassed; reason=unknown_handler; pipeline=*")
    engine.answers = {}
    assert shop.ask("/solr/shop/select?q=shoe&rows=2")[0]["x-rerank"].startswith("applied; ")


def test_an_engine_that_was_away(shop: Shop) -> None:
    """After an engine was away, its searches are reranked at once."""
    answer, shop.raw.answer = shop.raw.answer, lambda _: None
    assert ask(shop.proxy, "GET", "/solr/shop/select?q=shoe&rows=2")[0] == 502
    shop.raw.answer = answer
    assert shop.ask("/solr/shop/select?q=shoe&rows=2")[0]["x-rerank"].startswith("applied; ")


def test_refused_searches(shop: Shop, engine: FakeSolr) -> None:
    """A search that Solr refuses gets Solr's own words, to the byte."""
    shop.ask("/solr/shop/select?q=shoe")
    shop.raw.answer = b'HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{ "a": 1}'
    status, headers, text = ask(shop.proxy, "GET", "/solr/shop/select?q=shoe")
    assert (status, text) == (400, b'{ "a": 1}')
    assert dict(headers)["x-rerank"] == "bypassed; reason=refused; pipeline=*"
