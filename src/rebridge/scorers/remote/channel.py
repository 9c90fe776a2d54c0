"""Requests to one peer: pooled connections, retries, a circuit breaker, and an end to waiting."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import aiohttp
from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from rebridge.errors import ScorerError
from rebridge.remote import Place
from rebridge.scorers.remote.dialects import Ask, Dialect, OddAnswer, Reading
from rebridge.scorers.remote.failures import Health, RemoteError, no_answer, refused
from rebridge.spans import client_span

#: Most attempts for one request.
_ATTEMPTS = 3
#: Between them, unless the peer says when to come back.
_PAUSE = wait_random_exponential(multiplier=0.05, max=1.0)
#: Seconds until a connection is given up that is not answered.
_CONNECT_S = 5.0
#: An attempt that had less time than this says nothing about the peer, seconds.
_FAIR_S = 0.1
#: An answer beyond this is none, bytes.
_LONGEST = 64 * 2**20
_OK = 200


@dataclass(frozen=True, slots=True)
class Peer:
    """Where requests go.

    Attributes:
        url: the whole address.
        api_key: sent as a bearer token.
        connections: most requests at a time.
        timeout_s: seconds that one request may take.
        trust: whose certificates are believed.
        uds: path of a Unix socket to connect to instead of the address's host.
    """

    url: str
    api_key: str | None
    connections: int
    timeout_s: float
    trust: ssl.SSLContext
    uds: str | None

    def client(self) -> aiohttp.ClientSession:
        """A client for it. Only the answer as a whole has a time limit, which is not aiohttp's to keep.

        Not httpx, whose pool loses a connection for good with some of the requests that are cancelled
        (https://github.com/encode/httpcore/issues/1093), until no request gets one.
        """
        connector: aiohttp.BaseConnector = (
            aiohttp.TCPConnector(limit=self.connections, ssl=self.trust)
            if self.uds is None
            else aiohttp.UnixConnector(self.uds, limit=self.connections)
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            trust_env=self.uds is None,
        )


class Channel:
    """Sends requests to a peer, from one event loop.

    Args:
        peer: where they go.
        breaker: opens when the peer fails again and again.
    """

    def __init__(self, peer: Peer, breaker: CircuitBreaker) -> None:
        self._peer = peer
        self._breaker = breaker
        self._place = _place(peer)
        self._free = asyncio.Semaphore(peer.connections)
        self._client = peer.client()

    async def post(self, dialect: Dialect, ask: Ask, deadline: float | None) -> Reading:
        """Send a request until it is answered, as often and as long as that makes sense.

        Args:
            dialect: how it is written and its answer read.
            ask: what is asked.
            deadline: `time.monotonic` value after which nobody waits for the answer.

        Returns:
            The answer.

        Raises:
            RemoteError: if there is none.
            DeadlineExceeded: if the peer gives up because of the deadline.
        """
        last = deadline if deadline is not None else time.monotonic() + self._peer.timeout_s

        def enough(state: RetryCallState) -> bool:
            return state.attempt_number >= _ATTEMPTS or time.monotonic() + state.upcoming_sleep >= last

        def passing(error: BaseException) -> bool:
            return isinstance(error, RemoteError) and error.passing

        retrying = AsyncRetrying(stop=enough, wait=_pause, retry=retry_if_exception(passing), reraise=True)
        return await retrying(self._attempt, dialect, ask, deadline)

    async def tell(self, dialect: Dialect, ask: Ask, deadline: float | None) -> None:
        """Send a request once if a connection is free and the peer is well, whatever becomes of it; else do not.

        It says nothing about how the peer scores, and so the breaker does not hear of it. Arguments as of `post`.
        """
        if self._breaker.current_state == STATE_CLOSED and not self._free.locked():
            async with self._free:
                with suppress(ScorerError):
                    await self._timed(dialect, ask, deadline)

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    async def _attempt(self, dialect: Dialect, ask: Ask, deadline: float | None) -> Reading:
        async with self._free:
            try:
                with self._breaker.calling():
                    return await self._timed(dialect, ask, deadline)
            except CircuitBreakerError as error:
                raise RemoteError(
                    f"{self._place.url} failed several times in a row and is left alone for a while",
                    "unknown",
                    reason="circuit_open",
                ) from error

    async def _timed(self, dialect: Dialect, ask: Ask, deadline: float | None) -> Reading:
        began = time.monotonic()
        own = began + self._peer.timeout_s
        ask = ask if deadline is None else replace(ask, left_s=deadline - began)
        try:
            async with asyncio.timeout_at(own if deadline is None else min(own, deadline)):
                return await self._once(dialect, ask)
        except (TimeoutError, asyncio.CancelledError) as error:
            now = time.monotonic()
            if isinstance(error, asyncio.CancelledError) and (deadline is None or now < deadline):
                raise
            # Who waits gives up at the deadline too, but a peer that does not answer must be noted. Not one behind a
            # Unix socket: whoever started it sees whether it lives, and under load many deadlines pass there.
            fair = now - began >= _FAIR_S and self._peer.uds is None
            health: Health = "ill" if fair else "unknown"
            raise RemoteError(f"{self._place.url} gave no answer within {now - began:.2f} s", health) from error

    async def _once(self, dialect: Dialect, ask: Ask) -> Reading:
        # A lone surrogate cannot be sent; the one document that has it must not cost the others.
        content = json.dumps(dialect.body(ask), ensure_ascii=False).encode("utf-8", "replace")
        about: dict[str, str | int] = {"rebridge.model": ask.model or "", "rebridge.passages": len(ask.texts)}
        try:
            with client_span("score", about) as traced:
                headers = {"Content-Type": "application/json", **traced}
                async with self._client.post(
                    self._peer.url, data=content, headers=headers, allow_redirects=False
                ) as response:
                    answer = await self._read(response)
        except aiohttp.ClientError as error:
            raise no_answer(self._place, error) from error
        if response.status != _OK:
            raise refused(self._place, response, answer, self._peer.api_key, (ask.query, *ask.texts))
        try:
            return dialect.read(json.loads(answer), ask)
        except OddAnswer as error:
            raise RemoteError(f"{self._place.url} answered with {error}") from error
        except (ValueError, RecursionError) as error:
            kind = response.headers.get("content-type", "no type")
            raise RemoteError(f"{self._place.url} did not answer with JSON, but {kind}, {len(answer)} bytes") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _LONGEST:
                raise RemoteError(f"{self._place.url} sent more than {_LONGEST} bytes, which are no scores")
        return b"".join(parts)


def _place(peer: Peer) -> Place:
    """What messages call a peer. One behind a Unix socket is our own: it has no address that anybody could correct."""
    place = Place(product="the scorer", url=peer.url, key="url", index="", user=None)
    if peer.uds is None:
        return place
    return replace(place, url="the process of the models", by_text={"": "{url} is away for a moment ({said})"})


def _pause(state: RetryCallState) -> float:
    """Seconds until the next attempt."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, RemoteError) else None
    return asked if asked is not None else _PAUSE(state)
