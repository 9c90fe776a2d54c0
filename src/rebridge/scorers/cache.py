"""Outputs of the model that depend on the passage alone, kept so that a second query costs only the query."""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Output = TypeVar("Output")

#: Bytes of query embeddings that a model keeps: a query is read before its passages come, and searched again for its
#: next page or with another filter.
QUERY_BYTES = 4 * 1024 * 1024

# What an entry costs besides its numbers: key, array header, slot in the dictionary.
_OVERHEAD = 256


def text_key(text: str) -> bytes:
    """16 bytes that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class EmbeddingStore(ABC, Generic[Output]):
    """Where outputs are kept: in memory here, and on disk in `rebridge.scorers.embeddings`.

    Must be safe to use from several threads, and never fail: what cannot be kept or found is computed.

    Attributes:
        failures: how often something could not be kept or looked up.
    """

    failures: int = 0

    @abstractmethod
    def get(self, key: bytes) -> Output | None:
        """The output under this key if it is near, since it is asked for again and again; else None."""

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, Output]:
        """The outputs under these keys, wherever they are kept; those that are not are left out."""
        found = ((key, self.get(key)) for key in keys)
        return {key: output for key, output in found if output is not None}

    def rounded(self, output: Output) -> Output:
        """An output as it will be found later: scores are made from that at once, so that they stay the same."""
        return output

    @abstractmethod
    def put(self, key: bytes, output: Output) -> None:
        """Keep an output as the model gave it, if there is room."""

    def close(self) -> None:
        """Free what is held beside memory. Calling it twice is allowed."""


class EmbeddingCache(EmbeddingStore["NDArray[float32]"]):
    """Keeps the most recently used embeddings of one model in memory.

    Args:
        max_bytes: upper bound of what is kept, in bytes; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[bytes, NDArray[float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> NDArray[float32] | None:
        """The embedding under this key; None if it is not kept."""
        with self._lock:
            output = self._entries.get(key)
            if output is not None:
                self._entries.move_to_end(key)
            return output

    def put(self, key: bytes, output: NDArray[float32]) -> None:
        """Keep a copy of an embedding, forgetting the least recently used ones; not one with numbers that are none."""
        size = output.nbytes + _OVERHEAD
        if size > self.max_bytes or not np.isfinite(output).all():
            return
        kept = output.copy()  # a row is a view that would keep its whole batch alive
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self.used_bytes -= old.nbytes + _OVERHEAD
            self._entries[key] = kept
            self.used_bytes += size
            while self.used_bytes > self.max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self.used_bytes -= dropped.nbytes + _OVERHEAD
