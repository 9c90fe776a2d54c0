"""Bodies of any length go through a proxy in little memory, at the pace of the slower side."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from .peak import Peak
from .proxying import proxied

MIB = 1024 * 1024
TOTAL = 256 * MIB
PIECE = bytes(MIB)


@contextmanager
def engine(serve: Callable[[socket.socket], Any]) -> Iterator[str]:
    """The address of a server for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def head(connection: socket.socket) -> bytes:
    """What came of the body with the head of a request."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += connection.recv(65536)
    return seen.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("path", ["/_bulk", "/shop/_search"])
def test_uploads(path: str) -> None:
    """A long upload takes little memory, also one to a search."""
    got = 0

    def serve(connection: socket.socket) -> None:
        nonlocal got
        got = len(head(connection))
        while got < TOTAL:
            got += len(connection.recv(MIB))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    with engine(serve) as url, proxied("elasticsearch", url) as proxy, Peak() as peak:
        connection = http.client.HTTPConnection(proxy.removeprefix("http://"), timeout=60)
        with closing(connection):
            body = (PIECE for _ in range(TOTAL // MIB))
            connection.request("POST", path, body, {"content-length": str(TOTAL)})
            assert connection.getresponse().read() == b"{}"
    assert got == TOTAL
    assert peak.grown < 64


def test_downloads() -> None:
    """A long reply takes little memory, and waits for a slow client."""
    sent = 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % TOTAL)
        while sent < TOTAL:
            connection.sendall(PIECE)
            sent += MIB

    with engine(serve) as url, proxied("elasticsearch", url) as proxy, Peak() as peak:
        connection = http.client.HTTPConnection(proxy.removeprefix("http://"), timeout=60)
        with closing(connection):
            connection.request("GET", "/_x")
            reply = connection.getresponse()
            time.sleep(0.5)
            assert sent < TOTAL / 4
            got = 0
            while piece := reply.read(MIB):
                got += len(piece)
    assert got == sent == TOTAL
    assert peak.grown < 64
