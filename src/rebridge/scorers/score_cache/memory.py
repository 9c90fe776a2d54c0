"""Scores that are kept in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

Scores = tuple[float, ...]


class MemoryScores:
    """Keeps the most recently used scores for a while; safe to use from any number of threads.

    A dictionary in order of use, because all passages of a search are looked up on an event loop's time: 100 take about
    a tenth of what they take with ``cachetools.TTLCache``.

    Args:
        size: most entries: passages that were scored against a query.
        ttl_s: seconds until an entry is forgotten, however often it is used.
        clock: tells the time, in seconds.
    """

    def __init__(self, size: int, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, Scores]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, keys: Iterable[bytes]) -> dict[bytes, Scores]:
        """The scores that are kept under these keys."""
        found: dict[bytes, Scores] = {}
        with self._lock:
            now = self._clock()
            for key in keys:
                entry = self._entries.get(key)
                if entry is None:
                    continue
                if entry[0] <= now:
                    del self._entries[key]
                    continue
                self._entries.move_to_end(key)
                found[key] = entry[1]
        return found

    def keep(self, scores: Mapping[bytes, Scores]) -> None:
        """Keep scores, forgetting those that were not used for longest."""
        with self._lock:
            until = self._clock() + self._ttl_s
            for key, row in scores.items():
                self._entries[key] = (until, row)
                self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
