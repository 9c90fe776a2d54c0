"""A client's request as it comes in: its head at once, its body as far as somebody asks for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rebridge.http import Headers, HttpRequest, header, without

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

ResultT = TypeVar("ResultT")

#: Headers between two neighbours: https://www.rfc-editor.org/rfc/rfc9110#name-connection and the older ones. Of these,
#: ``Host`` and ``Expect`` are made anew: the engine has another name, and the server has asked for the body itself.
_BETWEEN_NEIGHBOURS = frozenset({
    "connection", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
#: How headers begin that only rebridge is told.
OURS = "x-rerank"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class BadTarget(ValueError):
    """The target of a request is no path."""


class ClientGone(Exception):
    """The client has closed the connection."""


def end_to_end(headers: Headers) -> Headers:
    """The headers that travel on, without those that are named as being for the next neighbour only."""
    values = ",".join(value for name, value in headers if name.lower() == "connection")
    dropped = _BETWEEN_NEIGHBOURS | {name.strip().lower() for name in values.split(",")}
    if header(headers, "transfer-encoding") is not None:  # which beats a length that stands beside it
        dropped |= {"content-length"}
    return without(headers, *dropped)


class Incoming:
    """A request.

    Args:
        scope: as ASGI gives it.
        receive: likewise.
        limit: most bytes of a body that is looked into.

    Attributes:
        head: the request without its body and without the headers for rebridge.
        headers: all its headers.
        has_body: whether it has a body.

    Raises:
        BadTarget: if its target is no path.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._first: list[bytes] = []
        self._complete, self._left = False, False
        self._over = asyncio.Event()
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        kept = tuple((name, value) for name, value in end_to_end(self.headers) if not name.lower().startswith(OURS))
        query = scope["query_string"].decode("utf-8", "surrogateescape")
        self.head = HttpRequest(scope["method"], _path(scope), query, kept, limit=limit)
        length = header(self.headers, "content-length")
        self.has_body = header(self.headers, "transfer-encoding") is not None or length not in (None, "0")
        self._too_long = length is not None and length.isdecimal() and int(length) > limit

    async def body(self) -> bytes | None:
        """The whole body; None if it is above the limit. What was read of it then, comes again from `chunks`.

        Raises:
            ClientGone: if it does not come to its end.
        """
        room = self._limit
        while not self._complete and not self._too_long:
            chunk = await self._next()
            self._first.append(chunk)
            room -= len(chunk)
            self._too_long = room < 0
        return None if self._too_long else b"".join(self._first)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece.

        Raises:
            ClientGone: if it does not come to its end.
        """
        while self._first:
            yield self._first.pop(0)
        while not self._complete:
            if chunk := await self._next():
                yield chunk

    async def unless_gone(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """What some work comes to; it is cancelled when the client goes away.

        Raises:
            ClientGone: if it does.
        """
        task, watch = asyncio.ensure_future(work), asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGone
            return task.result()
        finally:
            for each in (task, watch):
                if not each.done():
                    each.cancel()
                    with suppress(asyncio.CancelledError, Exception):  # what it raises now, nobody waits for
                        await each

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._left = True
            self._over.set()
            raise ClientGone
        if not message.get("more_body", False):
            self._complete = True
            self._over.set()
        body: bytes = message.get("body", b"")
        return body

    async def _gone(self) -> None:
        """Wait until the client has gone."""
        if not self.has_body and not self._complete:
            with suppress(ClientGone):
                await self._next()
        await self._over.wait()
        while not self._left:
            self._left = (await self._receive())["type"] == "http.disconnect"


def _path(scope: Scope) -> str:
    """The path as it came, also of a target that names a host; the host does not count.

    Raises:
        BadTarget: if there is none.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    path = _ABSOLUTE.sub("", raw.decode("utf-8", "surrogateescape"), count=1) or "/"
    if not path.startswith("/"):
        raise BadTarget("the target of the request is no path")
    return path
