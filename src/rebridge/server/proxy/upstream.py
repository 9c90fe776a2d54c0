"""The engine behind a proxy: requests go to its one address and nowhere else, whatever they say."""

from __future__ import annotations

import errno
import io
import re
import ssl
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from rebridge.http import Headers, HttpReply, HttpRequest, NoAnswer
from rebridge.server.proxy.incoming import BadTarget, end_to_end

#: Time for a connection to be made, seconds. It is a neighbour, mostly.
_CONNECT_S = 10.0
#: Longest line of a reply's head. Solr's may repeat a query.
_LINE = 65_536
#: Made up by the client library where a request has none.
_MADE_UP = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
#: What URLs cannot hold as it is: bytes that are no UTF-8, and what would end the query.
_UNSAFE = re.compile("[\udc80-\udcff#]")
#: What the client library wraps in an error of its own kind.
_ENDED = frozenset({errno.ECONNRESET, errno.EPIPE})
#: A step upwards; servers of Java drop what stands after a semicolon.
_ABOVE = re.compile(r"(?:^|[/\\])\.\.(?:[/\\;]|$)")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an engine is.

    Attributes:
        url: its address; a path in it goes before the path of every request.
        ca_certs: certificates (PEM) that the engine's is checked by; None for the system's.
        verify: whether it is checked.
        timeout_s: longest silence of the engine, and longest wait for a free connection.
        connections: most connections.
    """

    url: str
    ca_certs: Path | None = None
    verify: bool = True
    timeout_s: float = 60.0
    connections: int = 100


class EngineFailure(NoAnswer):
    """The engine gave no answer.

    Attributes:
        status: what the client gets.
        kind: a word for it.
        reason: a sentence, without addresses.
    """

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.kind, self.reason = status, kind, reason


class EngineClient:
    """The connections to an engine, of one event loop.

    Args:
        upstream: where it is.
        tracing: hooks into the requests.
    """

    def __init__(self, upstream: Upstream, tracing: Sequence[aiohttp.TraceConfig] = ()) -> None:
        self._upstream, self._tracing = upstream, tracing
        self._base = upstream.url.rstrip("/")
        self._below = urlsplit(self._base).path != ""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        where = self._upstream
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=where.connections, ssl=_ssl(where)),
            # No cookie of one client may reach another.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_MADE_UP,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=where.timeout_s, sock_connect=_CONNECT_S, sock_read=where.timeout_s
            ),
            trace_configs=list(self._tracing),
            max_line_size=_LINE,
            max_field_size=_LINE,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: HttpRequest, body: AsyncIterable[bytes] | None = None) -> aiohttp.ClientResponse:
        """Send a request; the reply's body is still to be read, and the reply to be closed.

        Args:
            request: the request.
            body: its body, if it is not in the request.

        Raises:
            EngineFailure: if no reply comes.
            BadTarget: if the path leads out of the engine's.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        url, headers = self._url(request), CIMultiDict((name, _text(value)) for name, value in request.headers)
        data = body if body is not None else (io.BytesIO(request.body) if request.body else None)
        try:
            return await self._session.request(request.method, url, headers=headers, data=data, allow_redirects=False)
        except TimeoutError as error:
            raise EngineFailure(504, "engine_timeout", "the engine did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailure(502, "engine_unreachable", f"the engine gave no answer ({_name(error)})") from error
        except ValueError as error:
            raise BadTarget("the request cannot be sent on") from error

    async def fetch(self, request: HttpRequest) -> HttpReply:
        """The whole reply to a search. One that gets no answer over a connection that was open before, is sent again.

        Raises:
            EngineFailure: if no reply comes, or not all of it.
            BadTarget: as `send`.
        """
        try:
            reply = await self.send(request)
        except EngineFailure as error:
            if not _hung_up(error.__cause__):
                raise
            reply = await self.send(request)
        async with reply:
            try:
                return HttpReply(reply.status, reply_headers(reply), await reply.read())
            except TimeoutError as error:
                raise EngineFailure(504, "engine_timeout", "the engine stopped in the middle of its reply") from error
            except (aiohttp.ClientError, OSError) as error:
                raise EngineFailure(502, "engine_unreachable", "the engine's reply broke off") from error

    def _url(self, request: HttpRequest) -> URL:
        if self._below and _ABOVE.search(unquote(request.path)):
            raise BadTarget("the path leads out of the engine's")
        query = f"?{request.query}" if request.query else ""
        return URL(self._base + _UNSAFE.sub(_escaped, request.path + query), encoded=True)


def reply_headers(reply: aiohttp.ClientResponse) -> Headers:
    """The headers of a reply that travel on."""
    return end_to_end(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.raw_headers))


def _ssl(upstream: Upstream) -> ssl.SSLContext | bool:
    if not upstream.verify:
        return False
    return True if upstream.ca_certs is None else ssl.create_default_context(cafile=upstream.ca_certs)


def _text(value: str) -> str:
    """A header's value such that the client library, which writes UTF-8, sends the bytes that came."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _hung_up(error: BaseException | None) -> bool:
    """Whether the engine ended a connection instead of answering, as it does with those that were open for long."""
    ended = isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | BrokenPipeError)
    return ended or (isinstance(error, OSError) and error.errno in _ENDED)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"%{code - 0xDC00 if code > 0xFF else code:02X}"  # noqa: PLR2004 - a surrogate escape of a byte


def _name(error: Exception) -> str:
    """What went wrong, without addresses."""
    inner = getattr(error, "os_error", None) or error
    return type(inner).__name__
