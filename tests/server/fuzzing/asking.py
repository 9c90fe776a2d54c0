"""Requests to an ASGI application in this process, as uvicorn would hand them over; each must be answered in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

#: Seconds after which a request counts as hanging.
PATIENCE = 30.0

ResultT = TypeVar("ResultT")
Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Loop:
    """An event loop in a thread, in which all requests run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """What some work comes to, in time."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, PATIENCE), self._loop).result(PATIENCE + 5)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def loop() -> Iterator[Loop]:
    made = Loop()
    try:
        yield made
    finally:
        made.close()


async def ask(app: Any, method: str, target: str, headers: Headers = (), chunks: Sequence[bytes] = (b"",)) -> Answer:
    """Send a request whose body comes in pieces.

    Raises:
        Exception: whatever the application lets out, which uvicorn would answer with 500.
    """
    path, _, query = target.partition("?")
    length = (b"content-length", b"%d" % sum(map(len, chunks)))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(b"host", b"shop.example"), *headers, length],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }
    coming, sent, silent = list(chunks), [], asyncio.Event()

    async def receive() -> Any:
        if not coming:
            await silent.wait()  # the client stays
        piece = coming.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(coming)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *pieces = sent
    assert not pieces[-1].get("more_body"), "the answer has no end"
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], named, b"".join(piece.get("body", b"") for piece in pieces))
