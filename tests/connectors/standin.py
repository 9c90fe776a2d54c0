"""A small HTTP server that answers as it is told, in the place of an engine or of what stands before one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class StandIn:
    """What the server answers, by the beginning of the path, and what it was asked.

    Attributes:
        answers: beginning of a path -> (status, body), or a list of them, one after the other and then the last again.
            The longest beginning that fits counts; a body that is no text is JSON.
        headers: sent with each answer.
        delay_s: seconds before each answer.
        asked: the requests, as (method, path, body).
        credentials: the ``Authorization`` header of each request, or None.
    """

    answers: Mapping[str, tuple[int, Any] | list[tuple[int, Any]]]
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> tuple[int, str, str]:
        found = self.answers[max((key for key in self.answers if path.startswith(key)), key=len)]
        before = sum(each.startswith(path) for _, each, _ in self.asked) - 1
        status, body = found[min(before, len(found) - 1)] if isinstance(found, list) else found
        return (status, "text/html", body) if isinstance(body, str) else (status, "application/json", json.dumps(body))


@contextmanager
def serving(standin: StandIn) -> Iterator[StandIn]:
    """Serve on a free port of loopback, whose address is `StandIn.url`."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            standin.asked.append((self.command, self.path, body))
            standin.credentials.append(self.headers.get("authorization"))
            ended.wait(standin.delay_s)
            status, kind, text = standin.answer(self.path)
            self.send_response(status)
            for name, value in {"content-type": kind, "content-length": str(len(text)), **standin.headers}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # who asked has given up
                self.end_headers()
                self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            """Nothing goes to the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        standin.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield standin
        finally:
            ended.set()
            server.shutdown()
            thread.join()
