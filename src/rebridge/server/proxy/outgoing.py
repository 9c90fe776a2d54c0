"""The reply to a client, and how a failing one ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import aiohttp

from rebridge.http import Headers, HttpReply, without
from rebridge.server.proxy.upstream import reply_headers

if TYPE_CHECKING:
    from starlette.types import Send

_WITHOUT_BODY = frozenset({204, 304})
#: Servers refuse to write control characters, though tabs are allowed.
_TABS = {ord("\t"): " "}

_log = logging.getLogger("rebridge")


class Outgoing:
    """The way of a reply to the client.

    Args:
        send: as ASGI gives it.

    Attributes:
        started: whether the client has got the beginning.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def whole(self, reply: HttpReply, more: Headers) -> None:
        """Send a reply that is there."""
        length = (("content-length", str(len(reply.body))),)
        await self._start(reply.status, (*without(reply.headers, "content-length"), *length, *more))
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def streamed(self, reply: aiohttp.ClientResponse, more: Headers) -> None:
        """Send a reply as it comes. One that breaks off is never ended, so that the client's connection breaks too."""
        await self._start(reply.status, (*reply_headers(reply), *more))
        try:
            async for chunk in reply.content.iter_any():
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            _log.warning("the engine's reply broke off: %s", type(error).__name__)
            return
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, status: int, headers: Headers) -> None:
        # What has no body needs no length, and the server would wait for one.
        kept = without(headers, "content-length") if status in _WITHOUT_BODY else headers
        raw = [(name.encode("latin-1"), value.translate(_TABS).encode("latin-1")) for name, value in kept]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
