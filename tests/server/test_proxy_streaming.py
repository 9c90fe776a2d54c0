"""What is no search goes through a proxy untouched, in both directions."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .proxying import ask, proxied
from .raw_upstream import EMPTY, Raw, listening

TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
PATH = "abcXYZ019-._~!$&'()*+,;=:@/%[]{}|^"
TARGETS = st.tuples(
    st.text(PATH, max_size=30), st.one_of(st.just(""), st.text(PATH + '?"<>\\`', min_size=1, max_size=30))
).map(lambda parts: f"/_x/{parts[0]}" + (f"?{parts[1]}" if parts[1] else ""))
#: Headers of neighbours, of bodies, of ours, and those that a server or a client must not repeat.
SPECIAL = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
NAMES = st.text(TCHAR, min_size=1, max_size=12).filter(
    lambda name: name not in SPECIAL and not name.startswith("x-rerank")
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
HEADERS = st.lists(
    st.one_of(
        st.tuples(NAMES, VALUES),
        st.tuples(
            st.sampled_from(["content-type", "content-encoding", "accept-encoding", "cookie", "authorization", "etag"]),
            VALUES,
        ),
    ),
    max_size=6,
)
BODIES = st.one_of(st.none(), st.binary(max_size=300), st.lists(st.binary(min_size=1, max_size=300), max_size=4))
STATUSES = st.sampled_from([200, 201, 202, 206, 301, 302, 400, 401, 403, 404, 405, 409, 418, 429, 500, 503])


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    with listening(Raw()) as raw:
        yield raw


@pytest.fixture(scope="module")
def proxy(raw: Raw) -> Iterator[str]:
    with proxied("elasticsearch", raw.url) as proxy:
        yield proxy


def reply(status: int, headers: list[tuple[str, str]], body: Any) -> bytes:
    """A reply on the wire; a body in pieces goes in chunks."""
    head = [f"HTTP/1.1 {status} X".encode(), *(f"{name}: {value}".encode() for name, value in headers)]
    if isinstance(body, list):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in body)
        return b"\r\n".join([*head, b"transfer-encoding: chunked", b"", chunks + b"0\r\n\r\n"])
    return b"\r\n".join([*head, f"content-length: {len(body or b'')}".encode(), b"", body or b""])


def whole(body: Any) -> bytes:
    return b"".join(body) if isinstance(body, list) else body or b""


@settings(max_examples=300)
@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]), TARGETS, HEADERS, BODIES)
def test_requests(  # noqa: PLR0917 - hypothesis
    raw: Raw, proxy: str, method: str, target: str, headers: list[tuple[str, str]], body: Any
) -> None:
    """The engine gets the request's own method, target, headers and body, byte for byte."""
    raw.answer = EMPTY
    assert ask(proxy, method, target, headers, body)[0] == 200
    got = raw.got[-1]
    assert got.line.decode() == f"{method} {target} HTTP/1.1"
    assert got.body == whole(body)
    assert got.chunked == isinstance(body, list)
    sent = [(name.encode(), value.encode()) for name, value in headers]
    assert sorted(pair for pair in got.headers if pair[0] not in {b"content-length", b"transfer-encoding"}) == sorted(
        [*sent, (b"host", raw.url.removeprefix("http://").encode())]
    )
    for name in {name for name, _ in sent}:
        assert [value for key, value in got.headers if key == name] == [value for key, value in sent if key == name]


@settings(max_examples=300)
@given(STATUSES, HEADERS, BODIES)
def test_replies(raw: Raw, proxy: str, status: int, headers: list[tuple[str, str]], body: Any) -> None:
    """The client gets the reply's own status, headers and body, byte for byte."""
    raw.answer = reply(status, headers, body)
    got = ask(proxy, "GET", "/_x")
    assert (got[0], got[2]) == (status, whole(body))
    framing = {"content-length", "transfer-encoding"}
    assert [pair for pair in got[1] if pair[0] not in framing] == headers


@pytest.mark.parametrize("status", [200, 204, 304, 404])
def test_replies_without_a_body(raw: Raw, proxy: str, status: int) -> None:
    """Replies to HEAD, and those that have no body, come with their headers, and the connection can be used on."""
    for method in ("HEAD", "GET"):
        length = b"content-length: 17\r\n" if method == "HEAD" else b""
        raw.answer = b"HTTP/1.1 %d X\r\netag: a\r\n%s\r\n" % (status, length)
        if method == "GET" and status in {200, 404}:
            raw.answer = b"HTTP/1.1 %d X\r\netag: a\r\ncontent-length: 0\r\n\r\n" % status
        with closing(http.client.HTTPConnection(proxy.removeprefix("http://"), timeout=5)) as connection:
            for _ in range(2):
                connection.request(method, "/_x")
                got = connection.getresponse()
                assert (got.status, got.getheader("etag"), got.read()) == (status, "a", b"")
                if method == "HEAD" and status not in {204, 304}:
                    assert got.getheader("content-length") == "17"


def test_replies_that_end_with_the_connection(raw: Raw, proxy: str) -> None:
    """A reply of an old server, which ends with its connection, comes whole."""
    raw.answer, raw.closes = b"HTTP/1.0 200 OK\r\n\r\nall of it", True
    try:
        assert ask(proxy, "GET", "/_x")[2] == b"all of it"
    finally:
        raw.closes = False


def test_headers_between_neighbours(raw: Raw, proxy: str) -> None:
    """Headers for the next neighbour alone, and those for rebridge, go no further; neither do those they name."""
    raw.answer = (
        b"HTTP/1.1 200 OK\r\nconnection: x-private\r\nx-private: 1\r\nkeep-alive: 5\r\ncontent-length: 0\r\n\r\n"
    )
    headers = [("connection", "close, X-Mine"), ("x-mine", "1"), ("te", "trailers"), ("proxy-authorization", "b"),
               ("upgrade", "h2c"), ("X-Rerank", "off"), ("X-Rerank-Model", "m"), ("x-kept", "2")]  # fmt: skip
    got = ask(proxy, "GET", "/_x", headers)
    assert {name for name, _ in raw.got[-1].headers} == {b"host", b"x-kept"}
    assert not {"x-private", "keep-alive"} & {name for name, _ in got[1]}


@pytest.mark.parametrize(
    "target", ["//evil.example/x", "/@evil.example", "/..//evil.example", "http://evil.example/x", "/%2e%2e/x"]
)
def test_only_the_one_engine(raw: Raw, proxy: str, target: str) -> None:
    """No target and no header leads to another host."""
    raw.answer = EMPTY
    seen = len(raw.got)
    assert ask(proxy, "GET", target, [("x-forwarded-host", "evil.example")])[0] == 200
    assert len(raw.got) == seen + 1
    assert raw.got[-1].line.decode() == f"GET {target.removeprefix('http://evil.example')} HTTP/1.1"
    assert raw.got[-1].header(b"host") == raw.url.removeprefix("http://").encode()


@pytest.mark.parametrize("target", ["/../secret", "/a/%2e%2E/../x", "/a/..", "/a\\..\\b", "/%2e%2e%2fx", "/..;a/b"])
def test_nothing_outside_of_a_path(raw: Raw, target: str) -> None:
    """Where the engine has a path, nothing outside of it can be asked for."""
    raw.answer = EMPTY
    with proxied("elasticsearch", f"{raw.url}/es/") as proxy:
        seen = len(raw.got)
        status, headers, body = ask(proxy, "GET", target)
        assert (status, len(raw.got)) == (400, seen)
        assert json.loads(body)["error"]["type"] == "bad_request"
        assert dict(headers)["x-rerank"] == "bypassed; reason=bad_request"
        assert ask(proxy, "GET", "/a..b/c")[0] == 200
        assert raw.got[-1].line == b"GET /es/a..b/c HTTP/1.1"


def test_two_lengths(raw: Raw, proxy: str) -> None:
    """A request whose end can be seen in two ways reaches the engine in one way, or not at all."""
    raw.answer = EMPTY
    seen = len(raw.got)
    smuggled = b"GET /secret HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(proxy.rpartition(":")[2])), timeout=5) as client:
        head = b"POST /_x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\nconnection: close"
        client.sendall(head + b"\r\n\r\n0\r\n\r\n" + smuggled)
        while client.recv(1000):
            pass
    assert [(got.line, got.header(b"content-length")) for got in raw.got[seen:]] in (
        [],
        [(b"POST /_x HTTP/1.1", None)],
    )


def test_redirects_are_the_clients_matter(raw: Raw, proxy: str) -> None:
    """A redirect is handed on, not followed."""
    raw.answer = reply(302, [("location", "http://evil.example/")], b"")
    seen = len(raw.got)
    status, headers, _ = ask(proxy, "GET", "/_x")
    assert (status, dict(headers)["location"], len(raw.got)) == (302, "http://evil.example/", seen + 1)


def test_cookies_belong_to_their_client(raw: Raw, proxy: str) -> None:
    """Cookies that one client is given are not sent for another."""
    raw.answer = reply(200, [("set-cookie", "a=1"), ("set-cookie", "b=2")], b"")
    headers = ask(proxy, "GET", "/_x")[1]
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    ask(proxy, "GET", "/_x")
    assert raw.got[-1].header(b"cookie") is None


def test_expectations_are_met(raw: Raw, proxy: str) -> None:
    """A client that waits for ``100 Continue`` before its body gets it."""
    raw.answer = EMPTY
    address = ("127.0.0.1", int(proxy.rpartition(":")[2]))
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"PUT /_x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"ab")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert (raw.got[-1].body, raw.got[-1].header(b"expect")) == (b"ab", None)


def test_nothing_is_held() -> None:
    """The engine gets the beginning of a body before the client has sent the end, and the client that of a reply."""
    arrived, go_on = threading.Event(), threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            seen = b""
            while b"first" not in seen:
                seen += connection.recv(1000)
            arrived.set()
            while b"last" not in seen:
                seen += connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf,")
            go_on.wait(5)
            connection.sendall(b"other")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with proxied("elasticsearch", f"http://127.0.0.1:{server.getsockname()[1]}") as proxy:
            address = ("127.0.0.1", int(proxy.rpartition(":")[2]))
            with socket.create_connection(address, timeout=5) as client:
                client.sendall(b"PUT /_x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nfirst")
                assert arrived.wait(5)
                client.sendall(b"last")
                got = b""
                while b"half," not in got:
                    got += client.recv(1000)
                assert not got.endswith(b"other")
                go_on.set()
                assert client.recv(1000) == b"other"
        thread.join()
