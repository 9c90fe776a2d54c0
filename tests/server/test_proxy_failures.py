"""Engines and clients that fail: a proxy never takes a part for the whole."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from .proxying import ask, proxied
from .raw_upstream import EMPTY, Got, Raw, listening


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    with listening(Raw()) as raw:
        yield raw


@pytest.fixture(scope="module")
def proxy(raw: Raw) -> Iterator[str]:
    with proxied("elasticsearch", raw.url) as proxy:
        yield proxy


class TestFailures:
    def test_an_engine_that_is_away(self) -> None:
        """Without an engine the client gets an error in its style, which says nothing of addresses."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            for engine, path in (("elasticsearch", "/_x"), ("opensearch", "/a/_search"), ("solr", "/solr/admin/x")):
                with proxied(engine, f"http://127.0.0.1:{port}") as proxy:
                    status, headers, body = ask(proxy, "GET", path)
                assert (status, dict(headers)["x-rerank"]) == (502, "bypassed; reason=engine_unreachable")
                assert str(port) not in body.decode()
                error = json.loads(body)["error"]
                assert error.get("type", error.get("metadata", [0, 0])[1]) == "engine_unreachable"

    def test_an_engine_that_is_silent(self, raw: Raw) -> None:
        """An engine that does not answer in time is given up."""
        done = threading.Event()
        raw.answer = lambda _: EMPTY if done.wait(5) else None
        with proxied("elasticsearch", raw.url, timeout_s=0.2) as proxy:
            status, headers, _ = ask(proxy, "GET", "/_x")
            done.set()
        assert (status, dict(headers)["x-rerank"]) == (504, "bypassed; reason=engine_timeout")

    @pytest.mark.parametrize("head", [b"content-length: 10\r\n", b"transfer-encoding: chunked\r\n"])
    @pytest.mark.parametrize("path", ["/_x", "/a/_search"])
    def test_replies_that_break_off(self, raw: Raw, proxy: str, head: bytes, path: str) -> None:
        """What breaks off at the engine breaks off at the client, or is an error: never a whole reply."""
        raw.answer, raw.closes = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n3\r\nab", True
        try:
            status = ask(proxy, "GET", path)[0]
        except http.client.IncompleteRead:
            return
        finally:
            raw.closes = False
        assert (status, path) == (502, "/a/_search")

    def test_an_engine_that_hangs_up(self, raw: Raw, proxy: str) -> None:
        """An engine that ends the connection instead of answering is an error."""
        raw.answer = lambda _: None
        assert ask(proxy, "POST", "/_x", body=b"a")[0] == 502

    def test_an_engine_that_answers_nonsense(self, raw: Raw, proxy: str) -> None:
        """What is no HTTP is an error."""
        raw.answer, raw.closes = b"nonsense\r\n\r\n", True
        try:
            assert ask(proxy, "GET", "/_x")[0] == 502
        finally:
            raw.closes = False

    def test_connections_that_ended_meanwhile(self) -> None:
        """A search that meets a connection which the engine has just ended is sent again; what writes is not."""
        served = 0

        def once(_: Got) -> bytes | None:
            nonlocal served
            served += 1
            return None if served == 2 else EMPTY

        search = b'{"query": {"match": {"a": "b"}}}'
        headers = [("content-type", "application/json")]
        for path, statuses in (("/a/_search", [200, 200]), ("/_bulk", [200, 502])):
            served = 0
            with listening(Raw(once)) as raw, proxied("elasticsearch", raw.url) as proxy:
                assert [ask(proxy, "POST", path, headers, search)[0] for _ in statuses] == statuses

    @pytest.mark.parametrize("framing", [b"content-length: 100000", b"transfer-encoding: chunked"])
    def test_clients_that_break_off(self, framing: bytes) -> None:
        """A body that breaks off at the client breaks off at the engine, and is never taken for a whole one."""
        with listening(Raw()) as raw, proxied("elasticsearch", raw.url) as proxy:
            address = ("127.0.0.1", int(proxy.rpartition(":")[2]))
            with socket.create_connection(address, timeout=5) as client:
                client.sendall(b"PUT /_x HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n5\r\nhallo\r\n")
                time.sleep(0.1)
            assert raw.wait(lambda: raw.broken == 1)
            assert raw.got == []

    def test_clients_that_do_not_wait(self) -> None:
        """When a client goes away, its request to the engine ends too."""
        ended = threading.Event()

        with socket.create_server(("127.0.0.1", 0)) as server:

            def accept() -> None:
                connection, _ = server.accept()
                with connection:
                    while connection.recv(1000):
                        pass
                    ended.set()

            thread = threading.Thread(target=accept)
            thread.start()
            with proxied("elasticsearch", f"http://127.0.0.1:{server.getsockname()[1]}") as proxy:
                address = ("127.0.0.1", int(proxy.rpartition(":")[2]))
                with socket.create_connection(address, timeout=5) as client:
                    client.sendall(b"GET /_x HTTP/1.1\r\nhost: x\r\n\r\n")
                    time.sleep(0.1)
                assert ended.wait(5)
            thread.join()
