"""A worker with a family that needs no model, and a store in a dictionary."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rebridge.scorers.cache import EmbeddingStore
from rebridge.scorers.family import Family
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.tokens import Tokens
from rebridge.scorers.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rebridge.steps import Windows

WAIT = 20


def value(query: str, passage: str) -> float:
    """A score that tells every pair apart from its neighbours."""
    return len(query) * 1000.0 + len(passage) + sum(map(ord, passage)) / 1e6


class Fake(Family[Any]):
    """One token per character. Passages named ``boom`` fail, ``nan`` have no score; ``query`` is read apart."""

    def __init__(self, *, apart: bool = False, most: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.owners: list[list[str]] = []
        self.apart = apart
        self.most = most
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.texts: dict[int, tuple[str, str]] = {}

    def cut(self, passage: str, windows: Windows) -> list[str]:
        return [passage[start : start + windows.size] for start in range(0, max(1, len(passage)), windows.stride)][
            : windows.limit
        ]

    def tokens(self, query: str, passage: str) -> Tokens:
        tokens = Tokens(np.zeros(len(passage), dtype=np.int32))
        self.texts[id(tokens)] = (query, passage)
        self.kept = [*getattr(self, "kept", []), tokens]  # ids stay unique while the tokens live
        return tokens

    def encode_query(self, query: str) -> Tokens | None:
        return self.tokens("", query) if self.apart else None

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        if "unreadable" in passages:
            raise ValueError("cannot read")
        return [self.tokens(query, passage) for passage in passages]

    def forward(self, batch: Sequence[Tokens]) -> list[Any]:
        self.entered.set()
        assert self.gate.wait(WAIT)
        texts = [self.texts[id(tokens)] for tokens in batch]
        if self.most is not None and len(batch) > self.most:
            raise MemoryError("too many")
        if any(passage == "huge" for _, passage in texts):
            raise MemoryError("too long")
        if any(passage == "boom" for _, passage in texts):
            raise RuntimeError("broken")
        self.batches.append([len(tokens) for tokens in batch])
        self.owners.append([query for query, _ in texts])
        if self.apart:
            return [passage for _, passage in texts]
        return [math.nan if passage == "nan" else value(query, passage) for query, passage in texts]

    def finish(self, query: Any, passage: Any) -> float:
        return value(query, passage) if self.apart else float(passage)


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[LocalScorer[Any], Fake]]]:
    """(token budget, turns, options of `Fake`) -> scorer and its family; closed afterwards."""
    made: list[tuple[LocalScorer[Any], Fake]] = []

    def build(budget: int = 100, turns: Turns | None = None, **options: Any) -> tuple[LocalScorer[Any], Fake]:
        family = Fake(**options)
        made.append((LocalScorer("fake", family, budget, turns), family))
        return made[-1]

    yield build
    for scorer, family in made:
        family.gate.set()
        scorer.close()


def busy(scorer: LocalScorer[Any], family: Fake) -> Any:
    """Keep the worker inside a batch until ``family.gate`` is set; the future of that batch."""
    family.gate.clear()
    future = scorer.submit("busy", ["b"])
    assert family.entered.wait(WAIT)
    return future


class Kept(EmbeddingStore[Any]):
    """A store in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        return self.kept.get(key)

    def put(self, key: bytes, output: Any) -> None:
        self.kept[key] = output
