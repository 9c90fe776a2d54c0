"""HTTP as uvicorn speaks it, but with bounds on the head of a request, which no application sees before it is whole."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Most bytes of a request's headers and trailers. Engines take less: 8 to 16 KiB.
HEAD_BYTES = 65_536
#: Longest time for a head to come in, seconds.
HEAD_S = 60.0


class BoundedHttp(HttpToolsProtocol):
    """Refuses heads without end with 400, and hangs up on those that take too long.

    Without it, a client could fill the memory with one header, or hold a connection for nothing.
    """

    _unread = _size = 0
    _told = False
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came. A field that is not whole yet has been told to nobody, so its bytes are counted here.

        So is all else that is no body: trailers, and what may stand beside the size of a chunk.
        """
        self._told = False
        super().data_received(data)
        self._unread = 0 if self._told else self._unread + len(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begin()

    def on_url(self, url: bytes) -> None:
        """The target has come, or a part of it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come, or a trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._told = True
        self._end()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body has come."""
        self._told = True
        super().on_body(body)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > HEAD_BYTES:
            raise ValueError("the head is too large")  # an answer with 400, as for whatever a parser refuses

    def _begin(self) -> None:
        self._end()
        self._unread, self._size = 0, 0
        self._limit = self.loop.call_later(HEAD_S, self.transport.close)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
