"""How much memory something takes."""

from __future__ import annotations

import os
import threading
from typing import Self

import psutil

MIB = 1024 * 1024


class Peak:
    """The most memory that this process took up, above what it had at first, in MiB."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self._first = self.most = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> float:
        return (self.most - self._first) / MIB

    def _now(self) -> int:
        return int(self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.most = max(self.most, self._now())
