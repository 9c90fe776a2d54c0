"""Scores that several processes and machines share in a Redis, which may be slow or away without harm."""

from __future__ import annotations

import asyncio
import logging
import math
import struct
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rebridge.errors import ScorerError
from rebridge.scorers.score_cache.memory import Scores
from rebridge.scorers.session import Session

ResultT = TypeVar("ResultT")

#: Before every key. The number changes with what a value looks like: float64 scores, lowest byte first.
_PREFIX = b"rebridge:score:1:"
#: How long a search may wait for its turn, and then for an answer, seconds.
_PATIENCE_S = 0.05
#: The same where scores are to be kept, for which no search waits, seconds.
_KEEPING_S = 1.0
#: How long a connection may take to come about, for which no search waits, seconds.
_CONNECT_S = 2.0
#: How long a Redis that failed is left alone, seconds.
_RECHECK_S = 5.0

_log = logging.getLogger("rebridge")


class RedisScores:
    """Keeps scores in a Redis; safe to use from any number of threads.

    No search waits for a connection to come about. For its turn on the one that there is it waits 50 ms at most, and as
    long for the answer. A Redis that does not answer is left alone for 5 s and tried again in the background; one that
    is only busy is not.

    Args:
        url: as redis-py takes it: https://redis.readthedocs.io/en/stable/connections.html#redis.Redis.from_url.
        place: what messages call it instead: the address may hold a password.
        ttl_s: seconds until Redis forgets a score.
    """

    def __init__(self, url: str, place: str, ttl_s: float) -> None:
        opener = partial(_Connection, url, place, ttl_s)
        self._session: Session[_Connection] = Session("rebridge score cache", opener)
        weakref.finalize(self, self._session.close)
        self._session.run(_Connection.connect)

    def known(self, keys: Sequence[bytes]) -> Future[dict[bytes, Scores]]:
        """The scores that are kept under these keys; none if Redis is away.

        Raises:
            ScorerError: if it is closed, or its thread cannot be started.
        """
        return self._session.run(lambda connection: connection.known(keys))

    def keep(self, scores: Mapping[bytes, Scores]) -> None:
        """Keep scores; nobody waits until that is done."""
        with suppress(ScorerError):  # it is closed, or cannot be opened
            self._session.run(lambda connection: connection.keep(scores))

    def close(self) -> None:
        """End the connection. Calling it twice is allowed."""
        self._session.close()


class _Connection:
    """The one connection, and whether it is of any use. Lives in an event loop.

    Args:
        url: of the Redis.
        place: what messages call it.
        ttl_s: seconds until it forgets a score.
    """

    def __init__(self, url: str, place: str, ttl_s: float) -> None:
        # One connection, so that all who find it up have it open already; whoever has the turn uses it.
        pool = BlockingConnectionPool.from_url(url, max_connections=1, timeout=None, retry=Retry(NoBackoff(), 0))
        self._redis = Redis.from_pool(pool)
        self._turn = asyncio.Lock()
        self._place = place
        self._ttl_ms = max(1, int(ttl_s * 1000))
        self._up = False
        self._told = False
        self._retry_at = 0.0
        self._connecting: asyncio.Task[None] | None = None

    async def known(self, keys: Sequence[bytes]) -> dict[bytes, Scores]:
        """See `RedisScores.known`."""
        values = await self._asked(lambda: self._redis.mget([_PREFIX + key for key in keys]), _PATIENCE_S)
        if values is None:
            return {}
        rows = {key: _unpacked(value) for key, value in zip(keys, values, strict=True)}
        return {key: row for key, row in rows.items() if row is not None}

    async def keep(self, scores: Mapping[bytes, Scores]) -> None:
        """See `RedisScores.keep`."""
        async with self._redis.pipeline(transaction=False) as commands:
            for key, row in scores.items():
                commands.set(_PREFIX + key, struct.pack(f"<{len(row)}d", *row), px=self._ttl_ms)
            await self._asked(commands.execute, _KEEPING_S)

    async def connect(self) -> None:
        """Find out whether Redis is there."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._redis.ping()
        except Exception as error:  # noqa: BLE001 - whatever answers there may send anything; no search must fail of it
            self._away(error)
        else:
            self._up, self._told = True, False

    async def close(self) -> None:
        """End the connection."""
        await self._redis.aclose()

    async def _asked(self, command: Callable[[], Awaitable[ResultT]], patience_s: float) -> ResultT | None:
        """What Redis answers; None if it is away, too slow, or busy with what others ask.

        Args:
            command: asks it.
            patience_s: how long to wait for the turn, and then for the answer.
        """
        if not self._usable():
            return None
        asked = False
        try:
            async with asyncio.timeout(patience_s) as clock, self._turn:
                if not self._usable():  # as whoever had the turn before found out
                    return None
                asked = True
                clock.reschedule(asyncio.get_running_loop().time() + patience_s)
                return await command()
        except Exception as error:  # noqa: BLE001 - as above
            if asked:
                self._away(error)
            return None

    def _usable(self) -> bool:
        """Whether Redis is there. If not, it is tried again in the background when its time has come."""
        if not self._up and time.monotonic() >= self._retry_at and (not self._connecting or self._connecting.done()):
            self._connecting = asyncio.create_task(self.connect())
        return self._up

    def _away(self, error: Exception) -> None:
        self._up, self._retry_at = False, time.monotonic() + _RECHECK_S
        if not self._told:
            self._told = True
            said = str(error) or "no answer in time"
            _log.warning("scores are not kept in the Redis at %s for now: %s", self._place, said)


def _unpacked(value: bytes | str | None) -> Scores | None:
    """The scores in a value; None if there are none. Others may have written there."""
    if not isinstance(value, bytes) or not value or len(value) % 8:
        return None
    row: Scores = struct.unpack(f"<{len(value) // 8}d", value)
    return row if all(map(math.isfinite, row)) else None
