"""Stores of embeddings in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rebridge.scorers.cache import EmbeddingCache
from rebridge.scorers.embeddings.store import DiskStore

MEBIBYTE = 2**20


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., DiskStore]]:
    """Opens stores in one file, each with a small memory of its own, and closes them."""
    opened: list[DiskStore] = []

    def open_one(**changes: Any) -> DiskStore:
        memory = EmbeddingCache(changes.pop("memory", 0))
        path = changes.pop("path", tmp_path / "store" / "e.sqlite")
        settings = {"max_bytes": 64 * MEBIBYTE, "precision": "float16", "fingerprint": b"model", **changes}
        opened.append(DiskStore(memory, path, **settings))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def matrix(value: float, tokens: int = 30) -> Any:
    """An embedding of some tokens."""
    return np.full((tokens, 96), value, dtype=np.float32)
