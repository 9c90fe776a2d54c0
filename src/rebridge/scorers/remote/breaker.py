"""Leaving a peer alone that fails again and again, so that searches need not wait to learn of it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitMemoryStorage

from rebridge.errors import DeadlineExceeded
from rebridge.scorers.remote.failures import RemoteError

#: Failures in a row after which a peer is left alone.
FAILURES = 5


def circuit_breaker(recheck_s: float) -> CircuitBreaker:
    """A breaker that opens after `FAILURES` in a row, and lets calls through again after a while.

    Use its ``calling()`` around a request: ``call`` would hold a lock while the request is out.

    Args:
        recheck_s: seconds until a peer that was left alone is tried again.
    """
    return CircuitBreaker(
        fail_max=FAILURES,
        reset_timeout=recheck_s,
        exclude=[_answered],
        state_storage=_MonotonicStorage(STATE_CLOSED),
        throw_new_error_on_trip=False,
    )


def _answered(error: BaseException) -> bool:
    """Whether a failure shows that the peer is well.

    What shows neither that nor the contrary is raised again, which leaves the breaker as it is: somebody has given up,
    or there was hardly any time.
    """
    if isinstance(error, asyncio.CancelledError) or (isinstance(error, RemoteError) and error.health == "unknown"):
        raise error
    return isinstance(error, DeadlineExceeded) or (isinstance(error, RemoteError) and error.health == "well")


class _MonotonicStorage(CircuitMemoryStorage):
    """Remembers when the breaker opened by a clock that nobody sets."""

    _opened: float | None = None

    @property
    def opened_at(self) -> datetime | None:
        """When the breaker opened, as if the wall clock had never been set since."""
        if self._opened is None:
            return None
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self._opened)

    @opened_at.setter
    def opened_at(self, _: datetime) -> None:
        self._opened = time.monotonic()
