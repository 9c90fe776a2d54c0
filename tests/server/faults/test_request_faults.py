"""What clients see whose requests cannot be understood, or must not be."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr
from tests.server.raw_upstream import EMPTY, Raw

from .front import RERANK, SEARCH, Front, ask, fronted
from .wire import answer, request

ODD_BODIES = {
    "invalid UTF-8": b'{"query": {"match": {"title": "\xff\xfe"}}}',
    "broken JSON": b'{"query": ',
    "no JSON": b"query=shoe",
    "NaN": b'{"query": NaN}',
    "huge number": b'{"query": 1' + b"0" * 5000 + b"}",
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
def test_the_body_is_no_json(front: Front, engine: Raw, body: bytes) -> None:
    """The API: 400 or 422 with what is wrong. A search reaches the engine byte for byte, which says what it thinks."""
    assert front.rerank(body).status_code in {400, 422}
    engine.answer = b"HTTP/1.1 418 X\r\ncontent-length: 0\r\n\r\n"
    assert front.search(body).status_code == 418
    assert [got.body for got in engine.got] == [body]


@pytest.mark.parametrize("deep", [b"[" * 400_000, b'{"a":' * 150_000, b"[" * 400_000 + b"]" * 400_000])
def test_the_body_is_nested_without_end(front: Front, engine: Raw, deep: bytes) -> None:
    """The API: 400 or 422. A search reaches the engine as it is, which says what it thinks."""
    for body in (deep, b'{"query": "q", "documents": [' + deep):
        assert front.rerank(body).status_code in {400, 422}
    engine.answer = EMPTY
    assert front.search(deep).status_code == 200
    assert engine.got[-1].body == deep
    fitting = b'{"query": "q", "documents": [' + b"[" * 900 + b"]" * 900 + b"]}"
    assert front.rerank(fitting).status_code in {200, 400, 422}


SMUGGLED = request(b"DELETE /shop", b"")
AMBIGUOUS = {
    "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n\r\nhallo!",
    "the same length twice": b"content-length: 5\r\ncontent-length: 5\r\n\r\nhallo",
    "a list of lengths": b"content-length: 5, 5\r\n\r\nhallo",
    "length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "unknown coding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks not last": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before the colon": b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "folded header": b"a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "negative length": b"content-length: -5\r\n\r\n" + SMUGGLED,
    "endless length": b"content-length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    "bad chunk size": b"transfer-encoding: chunked\r\n\r\n0x5\r\nhallo\r\n0\r\n\r\n" + SMUGGLED,
    "bare line feeds": b"a: b\n\n" + SMUGGLED,
    "NUL": b"a: \x00\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_the_request_can_be_read_in_two_ways(front: Front, engine: Raw, sent: bytes) -> None:
    """400, and the connection is closed; the engine gets nothing of it, nor of what follows."""
    for port, target in ((front.proxy, b"/_bulk"), (front.proxy, b"/shop/_search"), (front.api, b"/v2/rerank")):
        came = answer(port, b"POST " + target + b" HTTP/1.1\r\nhost: x\r\n" + sent)
        assert came.startswith(b"HTTP/1.1 400")
        assert came.count(b"HTTP/1.1 ") == 1
    assert engine.got == []


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\xfc\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00" * 99]
)
def test_the_client_does_not_speak_http(front: Front, engine: Raw, sent: bytes) -> None:
    """400, and the connection is closed: TLS on a plain port, HTTP/2, noise."""
    for port in (front.api, front.proxy):
        assert answer(port, sent).startswith(b"HTTP/1.1 400")
    assert engine.got == []


def test_the_target_names_another_host_or_place(engine: Raw) -> None:
    """The engine of the settings is asked whatever a request names; `..` out of its path gets 400."""
    with fronted(engine.url + "/below") as front:
        engine.got.clear()
        reached = (b"GET http://other.example/_cat HTTP/1.1", b"GET //other.example/_cat HTTP/1.1")
        for line in reached:
            assert b" 200 " in answer(front.proxy, line + b"\r\nhost: other.example\r\nconnection: close\r\n\r\n")[:20]
        assert all(got.line.startswith(b"GET /below/") for got in engine.got)
        for path in (b"/../_cat", b"/a/%2e%2e/%2E./_cat", b"/a/..%2f..%2f", b"/a/..\\..\\_cat"):
            came = answer(front.proxy, b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert came.startswith(b"HTTP/1.1 400")
        assert len(engine.got) == len(reached)


NONSENSE = ["", "-1", "NaN", "inf", "1e999", "0", "soon", "9" * 400, "\u00fc", "1, 2"]


@pytest.mark.parametrize("value", NONSENSE)
def test_the_headers_for_rebridge_make_no_sense(front: Front, value: str) -> None:
    """A search is answered all the same, and names what it does not follow in `override_refused`; the API: 422."""
    names = ("X-Rerank", "X-Rerank-Window", "X-Rerank-Model", "X-Rerank-Deadline-Ms", "X-Rerank-Other")
    sent = {name: value.encode("latin-1") for name in names}
    reply = ask("POST", front.proxy, "/shop/_search", SEARCH, sent)
    assert reply.status_code == 200
    assert len(reply.json()["hits"]["hits"]) == 3
    assert value in {"", "0"} or "override_refused" in reply.headers["x-rerank"]
    assert ask("POST", front.api, "/v2/rerank", RERANK, sent).status_code == 422


def test_the_key_is_missing_or_wrong(engine: Raw) -> None:
    """401 with what to send, and nothing of the keys; nothing is scored."""
    keys = [SecretStr("k3y"), SecretStr("other")]
    odd = {"authorization": "Basic k3y"}, {"x-api-key": "K3Y"}, {"authorization": "Bearer k3y2"}, {"authorization": ""}
    with fronted(engine.url, keys=keys) as front:
        for headers in ({}, *odd, {"x-api-key": ""}, {"x-api-key": "k3y, other"}, {"authorization": "bearer"}):
            reply = front.rerank(**headers)
            assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
            assert "k3y" not in reply.text
        assert front.rerank(authorization="Bearer k3y").status_code == 200
        assert front.rerank(x_api_key="other").status_code == 200


def test_the_request_asks_for_too_much(engine: Raw) -> None:
    """The API: 422 for more documents than `limits.documents`, in words; nothing is scored."""
    with fronted(engine.url) as front:
        body = json.dumps({"query": "q", "documents": ["d"] * 1001}).encode()
        reply = front.rerank(body)
    assert (reply.status_code, "1000" in reply.text) == (422, True)
