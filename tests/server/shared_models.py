"""Fakes and names that share them, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.scorers.base import Counts
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ServedModel

MIB = 2**20


class Recording(FakeScorer):
    """A fake of 10 MiB that remembers what it was asked, and refuses when it is closed."""

    def __init__(self) -> None:
        super().__init__(default=1.0, activation="sigmoid")
        self.asked: list[str] = []
        self.closed = threading.Event()

    def submit(self, query: str, passages: Sequence[str], **options: Any) -> Future[list[tuple[float, ...]]]:
        """Remember them."""
        if self.closed.is_set():
            raise ScorerError("it is closed")
        self.asked.extend(passages)
        return super().submit(query, passages, **options)

    def memory_bytes(self) -> int:
        """As a model of that size."""
        return 10 * MIB

    def counts(self) -> Counts:
        """As of a model that was asked this."""
        return Counts(inputs=len(self.asked))

    def close(self) -> None:
        """Remember it."""
        self.closed.set()


class Shelf:
    """Opens fakes, and remembers them."""

    def __init__(self) -> None:
        self.opened: list[Recording] = []

    def __call__(self, section: ScorerSection) -> Scorer:
        """Open one."""
        assert section.score_cache is None
        self.opened.append(Recording())
        return self.opened[-1]


def served(name: str, model: str = "m", *, size: int | None = None) -> ServedModel:
    """A name that keeps some scores, or none."""
    return ServedModel(name, ScorerSection(model=model, score_cache=size and {"size": size}))  # type: ignore[arg-type]


ALL = (served("plain"), served("small", size=1), served("large", size=100))


def ask(pool: ModelPool, name: str, *passages: str) -> list[tuple[float, ...]]:
    return pool.scorer(name).submit("q", passages or ["p"]).result(timeout=10)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def loaded(pool: ModelPool) -> list[str]:
    return [state.name for state in pool.states() if state.loaded]
