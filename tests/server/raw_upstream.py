"""An engine that notes every byte it is sent, and answers with the very bytes that it is told to."""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Got:
    """A request as it came in.

    Attributes:
        line: the request line.
        headers: names in lower case, and values.
        body: without its chunks.
        chunked: whether it came in chunks.
    """

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    chunked: bool

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Raw:
    """What the server does, and what it got.

    Attributes:
        answer: the bytes to answer; or what makes them of a request. None ends the connection.
        got: the requests so far, whole ones.
        broken: how many requests broke off.
        closes: whether it ends the connection after each answer.
        resets: whether it ends connections with a reset.
        tls: with which it speaks TLS.
        port: where it listens; 0 at first for any free one.
    """

    answer: bytes | Callable[[Got], bytes | None] = EMPTY
    got: list[Got] = field(default_factory=list)
    broken: int = 0
    closes: bool = False
    resets: bool = False
    tls: ssl.SSLContext | None = None
    port: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, holds: Callable[[], bool], seconds: float = 5) -> bool:
        """Wait until something holds that changes with requests."""
        with self.changed:
            return self.changed.wait_for(holds, seconds)


class Broken(Exception):
    """A request without its end."""


def read(stream: BinaryIO) -> Got | None:
    """The next request; None at the end."""
    line = stream.readline()
    if not line:
        return None
    headers = []
    while (raw := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = raw.rstrip(b"\r\n").partition(b":")
        headers.append((name.lower(), value.strip()))
    got = Got(line.rstrip(b"\r\n"), headers, b"", chunked=False)
    length = got.header(b"content-length")
    if got.header(b"transfer-encoding") == b"chunked":
        return Got(got.line, headers, _chunks(stream), chunked=True)
    body = stream.read(int(length or 0))
    if len(body) < int(length or 0):
        raise Broken
    return Got(got.line, headers, body, chunked=False)


def _chunks(stream: BinaryIO) -> bytes:
    body = b""
    while size := int(stream.readline() or b"-1", 16):
        if size < 0:
            raise Broken
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _answered(raw: Raw, stream: Any, out: Any) -> bool:
    """Answer the next request; whether the connection stays open."""
    try:
        got = read(stream)
    except Broken:
        with raw.changed:
            raw.broken += 1
            raw.changed.notify_all()
        return False
    if got is None:
        return False
    answer = raw.answer(got) if callable(raw.answer) else raw.answer
    with raw.changed:
        raw.got.append(got)
        raw.changed.notify_all()
    if answer is not None:
        out.write(answer)
    return answer is not None and not raw.closes


@contextmanager
def listening(raw: Raw) -> Iterator[Raw]:
    """Serve on a free port of loopback."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                while _answered(raw, self.rfile, self.wfile):
                    pass
                if not raw.resets:
                    self.connection.shutdown(socket.SHUT_RDWR)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            connection, address = super().get_request()
            # The handshake comes with the first byte, in the connection's own thread.
            wrap = {"server_side": True, "do_handshake_on_connect": False}
            return (raw.tls.wrap_socket(connection, **wrap) if raw.tls else connection), address

        def shutdown_request(self, request: Any) -> None:
            if raw.resets:  # what is sent already arrives all the same, mostly
                request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.close()
            else:
                super().shutdown_request(request)

    with Server(("127.0.0.1", raw.port), Handler) as server:
        raw.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield raw
        finally:
            server.shutdown()
            thread.join()
