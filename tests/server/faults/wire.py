"""Requests byte by byte, on connections that the test holds in its hands."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

MIB = 2**20
#: Headers of a request with JSON, but for those that say where it ends.
SENT = b"host: x\r\ncontent-type: application/json\r\n"


@contextlib.contextmanager
def connected(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    """A connection over which something has been sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        yield client


def answer(port: int, sent: bytes) -> bytes:
    """All that comes back until the server hangs up; a broken connection ends it, too."""
    came = b""
    with contextlib.suppress(ConnectionError), connected(port) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        while piece := client.recv(65536):
            came += piece
    return came


def request(line: bytes, body: bytes) -> bytes:
    """A request with a body of JSON."""
    return line + b" HTTP/1.1\r\n" + SENT + b"content-length: %d\r\n\r\n%s" % (len(body), body)
