"""What clients see that break off, dawdle, ask for too much, or send what is no request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest
from tests.server.peak import Peak
from tests.server.raw_upstream import Raw
from tests.server.reranking import HeldScorer

import rebridge.server.protocol

from .front import RERANK, SEARCH, Front, fronted
from .wire import MIB, SENT, answer, connected, request


def until(holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 10
    while not holds() and time.monotonic() < ends:
        time.sleep(0.01)
    return holds()


def test_the_client_leaves_while_its_search_or_request_is_scored(engine: Raw) -> None:
    """It sees nothing any more; its scores are not computed."""
    scorer = HeldScorer()
    with fronted(engine.url, scorer) as front:
        for port, sent in (
            (front.proxy, request(b"POST /shop/_search", SEARCH)),
            (front.api, request(b"POST /v2/rerank", RERANK)),
        ):
            with connected(port, sent):
                assert scorer.asked.acquire(timeout=10)
            assert until(scorer.futures[-1].cancelled)


def test_the_client_leaves_while_the_engine_searches() -> None:
    """It sees nothing any more; its request to the engine is ended."""
    came, gone = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while connection.recv(65536):
                    came.set()
                gone.set()

        thread = threading.Thread(target=serve)
        thread.start()
        with fronted(f"http://127.0.0.1:{server.getsockname()[1]}") as front:
            with connected(front.proxy, request(b"POST /shop/_search", SEARCH)):
                assert came.wait(10)
            assert gone.wait(10)
        thread.join()


def test_the_client_leaves_within_its_body(front: Front, engine: Raw) -> None:
    """It sees nothing any more; the engine never gets a part as the whole."""
    head = b" HTTP/1.1\r\n" + SENT + b"content-length: 1000\r\n\r\n{"
    with connected(front.proxy, b"POST /shop/_search" + head), connected(front.api, b"POST /v2/rerank" + head):
        pass
    with connected(front.proxy, b"PUT /_bulk" + head):
        time.sleep(0.1)
    assert front.search().status_code == 200
    assert [got.line for got in engine.got] == [b"POST /shop/_search HTTP/1.1"]


def test_the_body_is_too_large(front: Front, engine: Raw) -> None:
    """The API: 413, unread. A search goes to the engine as it is, `bypassed; reason=body_too_large`."""
    large = b'{"query": "' + b"x" * 2 * MIB + b'"}'
    assert front.rerank(large).status_code == 413
    reply = front.search(large)
    assert reply.headers["x-rerank"] == "bypassed; reason=body_too_large"
    assert engine.got[-1].body == large


def test_the_body_comes_slowly(front: Front) -> None:
    """It is answered when it is whole; others are answered meanwhile, and it takes no place in the queue."""
    clients = [(front.proxy, request(b"POST /shop/_search", SEARCH)), (front.api, request(b"POST /v2/rerank", RERANK))]
    for port, sent in clients:
        with connected(port) as client:
            for byte in sent[:-1]:
                client.sendall(bytes([byte]))
            assert (front.search().status_code, front.rerank().status_code) == (200, 200)
            client.sendall(sent[-1:])
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_the_head_never_ends(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed after a minute; others are answered meanwhile."""
    monkeypatch.setattr(rebridge.server.protocol, "HEAD_S", 0.2)
    for port in (front.api, front.proxy):
        for sent in (b"", b"GET /", b"GET / HTTP/1.1\r\na: b\r\n", request(b"POST /v2/rerank", b"{}") + b"POST"):
            began = time.monotonic()
            with connected(port, sent) as client:
                while client.recv(65536):
                    pass
            assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "bomb", [b"a: " + b"b" * 70_000, b"a: b\r\n" * 20_000, b"a" * 70_000, b"a: " + b"b" * 50 * MIB]
)
def test_the_head_is_too_large(front: Front, bomb: bytes) -> None:
    """400, and the connection is closed: 64 KiB of headers are read, and no more."""
    sent = b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + bomb
    for port in (front.api, front.proxy):
        with Peak() as peak:
            came = answer(port, sent)
        assert came[:12] in {b"HTTP/1.1 400", b""}  # an answer is lost where its reader is still writing
        assert peak.grown < 20


@pytest.mark.parametrize("end", [b"0\r\n" + b"a: b\r\n" * 50_000, b"0\r\na: " + b"b" * MIB, b"1;" + b"a" * MIB])
def test_the_trailers_never_end(front: Front, end: bytes) -> None:
    """400, and the connection is closed; so for what may stand beside the size of a chunk."""
    head = b"POST /v2/rerank HTTP/1.1\r\n" + SENT + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"
    came = answer(front.api, head + end)
    assert came[:12] in {b"HTTP/1.1 400", b""}  # as above


@pytest.mark.parametrize("chunk", [b"\r\n7fff\r\n" + b" " * 0x7FFF, b" " * 0x7FFF])
def test_the_next_head_comes_with_the_end_of_a_long_body(front: Front, chunk: bytes) -> None:
    """Both requests are answered: a body does not count as a part of a head."""
    body, length = RERANK + chunk * 20, b"content-length: %d" % len(RERANK + chunk * 20)
    if chunk.startswith(b"\r\n"):
        body, length = b"%x\r\n%b\r\n0\r\n\r\n" % (len(RERANK), body), b"transfer-encoding: chunked"
    line = b"POST /v2/rerank HTTP/1.1\r\n"
    with connected(front.api, line + SENT + length + b"\r\n\r\n" + body + line[:9]) as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(request(line[9:-11], RERANK))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_the_target_is_too_long(front: Front) -> None:
    """400, and the connection is closed."""
    for port in (front.api, front.proxy):
        assert answer(port, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")[:12] == b"HTTP/1.1 400"


def test_the_client_reads_slowly(front: Front, engine: Raw) -> None:
    """It gets everything at its own pace, and the server holds little of it."""
    total = 64 * MIB
    engine.answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total + bytes(total)
    with (
        Peak() as peak,
        connected(front.proxy, b"GET /_cat HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as client,
    ):
        time.sleep(0.5)
        assert peak.most - peak._first < 24 * MIB
        got = 0
        while piece := client.recv(MIB):
            got += len(piece)
    assert got > total
