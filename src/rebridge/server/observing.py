"""Around every request: its id, its span, its numbers, and one line in the log when it is answered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode

from rebridge.server.logs import REQUEST_ID, request_id
from rebridge.server.metrics import Metrics
from rebridge.server.tracing import server_span

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The HTTP status that stands for a client that went away before it was answered, as nginx has it.
GONE = 499
_BROKEN = 500
#: Methods that become labels; any other word that a client makes up does not.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
#: Requests that machines make all the time, and that nobody wants to read about.
_QUIET = frozenset({"/healthz", "/readyz", "/health", "/metrics"})

_log = logging.getLogger("rebridge.access")


class Observed:
    """Watches an application; its answers get an ``X-Request-Id`` unless they have one.

    Args:
        app: the application.
        face: its name in logs and metrics: ``api``, or the engine.
        metrics: where its requests are counted.
    """

    def __init__(self, app: ASGIApp, face: str, metrics: Metrics) -> None:
        self._app = app
        self._face = face
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        own = request_id(scope["headers"])
        token = REQUEST_ID.set(own)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = _named(message, own)
            await send(message)

        in_flight = self._metrics.in_flight.labels(self._face)
        in_flight.inc()
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        attributes = {"http.request.method": method, "url.path": scope["path"], "rebridge.face": self._face}
        try:
            with server_span(f"{method} {self._face}", scope["headers"], attributes) as span:
                try:
                    await self._app(scope, receive, noted)
                except Exception:
                    status = status or _BROKEN
                    raise
                finally:
                    span.set_attribute("http.response.status_code", status or GONE)
                    if status >= _BROKEN:
                        span.set_status(StatusCode.ERROR)
        finally:
            in_flight.dec()
            self._done(scope, method, status or GONE, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    def _done(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        self._metrics.request(self._face, _route(scope), status, seconds)
        if scope["path"] in _QUIET:
            return
        # The path alone: what follows it may be a query text.
        about: dict[str, Any] = {
            "face": self._face,
            "method": method,
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": scope["client"][0] if scope.get("client") else None,
        }
        _log.info(
            "%s %s %s %d %.1f ms",
            self._face,
            method,
            scope["path"].encode("unicode_escape").decode(),
            status,
            seconds * 1000,
            extra=about,
        )


def _route(scope: Scope) -> str:
    """The pattern of the route that answered, of which there are few."""
    return scope.get("rebridge.route") or getattr(scope.get("route"), "path", None) or "other"


def _named(message: Message, own: str) -> Message:
    headers = list(message.get("headers", ()))
    if any(name.lower() == b"x-request-id" for name, _ in headers):
        return message
    return {**message, "headers": [*headers, (b"x-request-id", own.encode("latin-1"))]}
