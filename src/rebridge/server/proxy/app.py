"""`Proxy`: the ASGI application in front of one engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from rebridge.bridge import Bridge
from rebridge.drivers import run_async
from rebridge.http import MOST, Exchange, Forward, HttpConnector, HttpRequest, Searched
from rebridge.models import Summary
from rebridge.server.proxy.incoming import BadTarget, ClientGone, Incoming
from rebridge.server.proxy.outgoing import Outgoing
from rebridge.server.proxy.telling import failed, overrides, told
from rebridge.server.proxy.turns import Turns
from rebridge.server.proxy.upstream import EngineClient, EngineFailure, Upstream

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_log = logging.getLogger("rebridge")

#: Told of every search: the pipeline's name (None if there is none) and what was done.
Observer = Callable[[str | None, Summary], None]


def _nobody(_pipeline: str | None, _summary: Summary) -> None:
    """For those who do not want to know."""


class Proxy:
    """Searches are reranked, and all else goes through as it is, in both directions without being held.

    It must be open (``async with``) in the event loop that runs it. The server must add no headers of its own
    (uvicorn: ``server_header=False, date_header=False``).

    Args:
        connector: the engine's connector.
        bridge: gives the pipelines for a search that begins now.
        upstream: where the engine is.
        body_limit: most bytes in the body of a search; one with a longer body is not reranked.
        observer: told of every search.
        tracing: hooks into the requests to the engine.
    """

    def __init__(  # noqa: PLR0913 - what a server has to give
        self,
        connector: HttpConnector,
        bridge: Callable[[], Bridge],
        upstream: Upstream,
        *,
        body_limit: int = MOST,
        observer: Observer = _nobody,
        tracing: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        self._connector, self._bridge = connector, bridge
        self._body_limit, self._observer = body_limit, observer
        self._engine = EngineClient(upstream, tracing)
        self._turns = Turns()

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.__aexit__(kind, error, trace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began, outgoing = time.perf_counter(), Outgoing(send)
        try:
            incoming = Incoming(scope, receive, self._body_limit)
            is_search = self._connector.is_search(incoming.head.method, incoming.head.path)
            scope["rebridge.route"] = "search" if is_search else "other"
            answer = self._search(incoming, outgoing, began) if is_search else self._stream(incoming, outgoing)
            await incoming.unless_gone(answer)
        except ClientGone:
            return
        except BadTarget as error:
            await self._fail(outgoing, EngineFailure(400, "bad_request", str(error)), began)
        except EngineFailure as error:
            _log.warning("%s: %s", self._connector.name, error.reason)
            await self._fail(outgoing, error, began)

    async def _stream(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """What is no search."""
        reply = await self._engine.send(incoming.head, incoming.chunks() if incoming.has_body else None)
        with closing(reply):
            await outgoing.streamed(reply, ())

    async def _search(self, incoming: Incoming, outgoing: Outgoing, began: float) -> None:
        body = await incoming.body()
        if body is None:
            passed = Searched(None, Summary("bypassed", "body_too_large"))
            await self._forward(Forward(incoming.head, (passed,)), outgoing, began, incoming)
            return
        request = replace(incoming.head, body=body)
        done = await self._exchanged(request, incoming)
        if isinstance(done, Forward):
            await self._forward(done, outgoing, began)
            return
        self._observe(done.searches)
        await outgoing.whole(done.reply, told(done.searches, done.refused, _ms(began)))

    async def _exchanged(self, request: HttpRequest, incoming: Incoming) -> Exchange | Forward:
        """What a search comes to. No mistake of ours keeps a client from the engine's own answer."""
        try:
            with closing(self._connector.exchange(request, self._bridge(), overrides(incoming.headers))) as story:
                return await run_async(story, self._carry_out, turn=self._turns.mine)
        except (BadTarget, EngineFailure):
            raise
        except Exception:  # noqa: BLE001 - whatever it is
            _log.exception("a search is answered by the engine alone")
            return Forward(request, (Searched(None, Summary("degraded", "rebridge_failed")),))

    async def _carry_out(self, what: HttpRequest | Future[Any]) -> Any:
        return await (asyncio.wrap_future(what) if isinstance(what, Future) else self._engine.fetch(what))

    async def _forward(self, what: Forward, outgoing: Outgoing, began: float, incoming: Incoming | None = None) -> None:
        """Let the engine answer a search, whose body may still be coming in."""
        sent = time.perf_counter()
        reply = await self._engine.send(what.request, incoming.chunks() if incoming is not None else None)
        with closing(reply):
            searches = tuple(
                done._replace(summary=replace(done.summary, engine_ms=_ms(sent), total_ms=_ms(began)))
                for done in what.searches
            )
            self._observe(searches)
            await outgoing.streamed(reply, told(searches, what.refused, _ms(began)))

    def _observe(self, searches: Sequence[Searched]) -> None:
        for done in searches:
            self._observer(done.pipeline, done.summary)

    async def _fail(self, outgoing: Outgoing, error: EngineFailure, began: float) -> None:
        if not outgoing.started:
            reply = self._connector.failure(error.status, error.kind, error.reason)
            await outgoing.whole(reply, failed(error.kind, _ms(began)))


def _ms(began: float) -> float:
    return (time.perf_counter() - began) * 1000
