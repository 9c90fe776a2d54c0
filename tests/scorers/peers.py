"""Stand-ins for remote scorers: HTTP servers in threads that speak every dialect, and misbehave as they are told."""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rebridge.errors import ScorerError
from rebridge.scorers.remote import RemoteScorer

Open = Callable[..., RemoteScorer]
Scores = Callable[[str, str], Any]
Fault = Callable[["Handler", int], bool]

PATHS = {
    "rebridge": "/rebridge/v1/scores",
    "cohere": "/v2/rerank",
    "jina": "/v1/rerank",
    "tei": "/rerank",
    "vllm": "/rerank",
    "infinity": "/rerank",
}


def by_length(query: str, text: str) -> float:
    return len(query) + len(text) / 7


TEXTS = ["a secret document", "another private text"]
RIGHT = [by_length("the query", text) for text in TEXTS]


def failing(scorer: RemoteScorer, deadline: float | None = None) -> ScorerError:
    """What scoring `TEXTS` fails with, the deadline in seconds."""
    until = None if deadline is None else time.monotonic() + deadline
    with pytest.raises(ScorerError) as caught:
        scorer.submit("the query", TEXTS, deadline=until).result(10)
    return caught.value


@dataclass
class StandIn:
    """A peer.

    Attributes:
        dialect: what it speaks.
        scores: (query, passage) -> the score, or anything else to put in its place.
        cap: most passages that it takes at once.
        fault: given the request's handler and number, from 0; whether it has dealt with the request.
        change: changes an answer's JSON value.
        asked: the bodies of the requests, in their order.
        headers: their headers.
    """

    dialect: str = "rebridge"
    scores: Scores = by_length
    cap: int = 10_000
    fault: Fault = lambda _handler, _number: False
    change: Callable[[Any], Any] = lambda answer: answer
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    most: int = 0
    url: str = ""
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def texts(self, body: dict[str, Any]) -> list[str]:
        names = {"rebridge": "passages", "tei": "texts"}
        texts: list[str] = body[names.get(self.dialect, "documents")]
        return texts

    def answer(self, body: dict[str, Any]) -> Any:
        scores = [self.scores(body["query"], text) for text in self.texts(body)]
        if self.dialect == "rebridge":
            rows = [score if isinstance(score, list) else [score] for score in scores]
            return {"model": "m", "activation": "sigmoid", "scores": rows}
        key = "score" if self.dialect == "tei" else "relevance_score"
        results = [{"index": index, key: score} for index, score in enumerate(scores)]
        random.Random(len(self.asked)).shuffle(results)  # noqa: S311 - any order will do
        return results if self.dialect == "tei" else {"id": "1", "results": results, "usage": {}}


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    standin: StandIn

    def do_POST(self) -> None:
        standin = self.standin
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with standin.lock:
            number = len(standin.asked)
            standin.asked.append(body)
            standin.headers.append(dict(self.headers))
            standin.running += 1
            standin.most = max(standin.most, standin.running)
        try:
            with suppress(ConnectionError):
                self._answer(body, number)
        finally:
            with standin.lock:
                standin.running -= 1

    def _answer(self, body: dict[str, Any], number: int) -> None:
        standin = self.standin
        if self.path != PATHS[standin.dialect]:
            self.send(404, {"error": "no such path"})
        elif standin.fault(self, number):
            pass
        elif len(standin.texts(body)) > standin.cap:
            said = f"batch size {len(standin.texts(body))} > maximum allowed batch size {standin.cap}"
            self.send(422 if standin.dialect != "tei" else 413, {"error": said, "error_type": "Validation"})
        else:
            self.send(200, standin.change(standin.answer(body)))

    def send(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def reset(self) -> None:
        """End the connection the hard way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing goes to the terminal."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news."""


class _SocketServer(_Server):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


@contextmanager
def serving(standin: StandIn, uds: Path | None = None, certificate: Path | None = None) -> Iterator[StandIn]:
    """Serve on a free port of loopback, whose address is `StandIn.url`, or on a Unix socket.

    Args:
        standin: the peer.
        uds: path of the socket.
        certificate: a file with certificate and key, for TLS.
    """
    kind = type("Own", (Handler,), {"standin": standin, "disable_nagle_algorithm": uds is None})
    server = _Server(("127.0.0.1", 0), kind) if uds is None else _SocketServer(str(uds), kind)
    standin.url = "http://scorer" if uds else f"http://127.0.0.1:{server.server_port}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        standin.url = standin.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def first(count: int, deal: Callable[[Handler], Any]) -> Fault:
    """A fault of the first requests."""

    def fault(handler: Handler, number: int) -> bool:
        if number < count:
            deal(handler)
        return number < count

    return fault


def always(deal: Callable[[Handler], Any]) -> Fault:
    """A fault of all requests."""
    return first(10**9, deal)


def answering(status: int, body: Any, kind: str = "application/json", **headers: str) -> Callable[[Handler], None]:
    """A fault: this answer."""
    return lambda handler: handler.send(status, body, kind, **headers)


def stalling(seconds: float) -> Callable[[Handler], None]:
    """A fault: nothing for a while, and then the end of the connection."""

    def stall(handler: Handler) -> None:
        time.sleep(seconds)
        handler.reset()

    return stall


def cut_short(handler: Handler) -> None:
    """A fault: the connection is reset in the middle of the body."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"scores": [')
    handler.wfile.flush()
    handler.reset()


def dripping(handler: Handler) -> None:
    """A fault: a byte now and then, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)
    handler.reset()


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
