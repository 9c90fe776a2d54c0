"""One ASGI application for all ports: each request goes to the application of the port that it came in on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from starlette.routing import Router

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Faces:
    """The applications by port.

    Args:
        apps: port -> its application.
        lifespan: opens before the first request what the applications need, and closes it after the last.
    """

    def __init__(
        self, apps: Mapping[int, ASGIApp], lifespan: Callable[[Any], AbstractAsyncContextManager[None]]
    ) -> None:
        self._apps = apps
        self._router = Router(lifespan=lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or begin and end."""
        if scope["type"] == "lifespan":
            await self._router.lifespan(scope, receive, send)
        else:
            await self._apps[scope["server"][1]](scope, receive, send)
