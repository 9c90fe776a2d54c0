"""An order among models that compute on the same device."""

from __future__ import annotations

import os
from collections import deque
from threading import Lock
from types import TracebackType
from weakref import WeakSet

_every: WeakSet[Turns] = WeakSet()


class Turns:
    """A lock that is given to those who wait for it in the order in which they came.

    Each thread that computes with torch has a team of threads of its own, so that two models at once have more threads
    than there are processors, and take them from all else that the machine does. A plain lock would mostly go back to
    the model that has just freed it, and let the other one wait for a whole search.
    """

    def __init__(self) -> None:
        self._begin()
        _every.add(self)

    def _begin(self) -> None:
        self._lock = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()  # until whoever has the turn hands it on

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_cpu = Turns()


def cpu_turns() -> Turns:
    """The turns of this process's models on the CPU."""
    return _cpu


def _forget() -> None:
    """In the child of a fork nobody lives who could hand a turn on."""
    for turns in list(_every):
        turns._begin()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
