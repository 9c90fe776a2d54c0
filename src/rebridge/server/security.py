"""Who may ask, and how much: API keys and the limit of bodies, as ASGI middleware that buffers nothing."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from pydantic import SecretStr
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What anyone may see: pages and descriptions that hold nothing of anyone's, and whether the server lives.
OPEN_PATHS = frozenset({"/", "/health", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/favicon.ico"})
#: As `OPEN_PATHS`: what the pages are made of.
OPEN_PREFIXES = ("/static", "/playground/static/")


class ApiKeys:
    """Asks for one of the keys, in ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

    Keys are compared in constant time, each against all, so that no time tells how much of a guess was right.

    Args:
        app: what is guarded.
        keys: the keys; none to let everyone in.
    """

    def __init__(self, app: ASGIApp, keys: Collection[SecretStr]) -> None:
        self._app = app
        self._digests = tuple(_digest(key.get_secret_value().encode()) for key in keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 unless a key fits."""
        if scope["type"] != "http" or not self._digests or _is_open(scope["path"]) or self._fits(scope["headers"]):
            await self._app(scope, receive, send)
            return
        message = "This server wants an API key: send Authorization: Bearer KEY, or X-API-Key: KEY."
        await refuse(send, 401, "unauthorized", message, ((b"www-authenticate", b"Bearer"),))

    def _fits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given = [_digest(key) for name, value in headers if (key := _key(name, value))]
        return any([hmac.compare_digest(one, known) for one in given for known in self._digests])  # noqa: C419 - each


class BodyLimit:
    """Stops the reading of bodies above a size: at once if their length says so, else when they have come that far.

    It raises what Starlette answers with 413, so that the application can say it in its own words.

    Args:
        app: what gets the bodies.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced, came = _announced(scope["headers"]), 0

        async def counted() -> Message:
            nonlocal came
            message = await receive() if announced <= self._most else {}
            came += len(message.get("body", b""))
            if max(came, announced) > self._most:
                problem = f"The body is larger than {self._most / 2**20:g} MiB (limits.body_mb)."
                raise HTTPException(413, problem, {"Connection": "close"})
            return message

        await self._app(scope, counted, send)


async def refuse(
    send: Send, status: int, reason: str, message: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer a request with an error: ``{"error": {"reason": ..., "message": ...}}``."""
    body = json.dumps({"error": {"reason": reason, "message": message}}).encode()
    plain = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": body})


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or (path.startswith(OPEN_PREFIXES) and ".." not in path)


def _key(name: bytes, value: bytes) -> bytes:
    """The key that a header holds; empty if none."""
    if name == b"x-api-key":
        return value.strip()
    scheme, _, rest = value.strip().partition(b" ")
    return rest.strip() if name == b"authorization" and scheme.lower() == b"bearer" else b""


def _digest(key: bytes) -> bytes:
    """All of one length, so that comparing tells nothing of a key's length either."""
    return blake2b(key, digest_size=32).digest()


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    lengths = [int(value) for name, value in headers if name == b"content-length" and value.isdigit()]
    return max(lengths, default=0)
