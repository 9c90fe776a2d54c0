"""Embeddings in memory and, behind that, on disk."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from rebridge.scorers.cache import EmbeddingStore
from rebridge.scorers.embeddings import Precision
from rebridge.scorers.embeddings.file import EmbeddingFile
from rebridge.scorers.embeddings.packing import pack, rounded, unpack
from rebridge.scorers.embeddings.writer import BackgroundWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy import float32
    from numpy.typing import NDArray

Result = TypeVar("Result")

#: Seconds for which a file that failed is not read, or not written to, so that not every search waits for it.
REST_SECONDS = 30.0
#: Seconds that closing waits for what is still to be written.
_CLOSE_SECONDS = 10.0
#: Bytes in a transaction; a small file's 8th part.
_BATCH_BYTES, _PARTS = 4 * 2**20, 8

_NONE: tuple[frozenset[bytes], frozenset[bytes]] = (frozenset(), frozenset())
_NOTHING: tuple[Mapping[bytes, bytes], frozenset[bytes]] = ({}, frozenset())

_log = logging.getLogger("rebridge")


class DiskStore(EmbeddingStore["NDArray[float32]"]):
    """Embeddings of one model in memory and on disk, where other processes find them too.

    Writing happens in the background. A file that cannot be used costs no search: its entries are missing, which is
    counted, and logged once.

    Args:
        memory: looked into first.
        path: the file, which may hold embeddings of other models too.
        max_bytes: the file's bound.
        precision: of what is kept.
        fingerprint: all that an embedding depends on besides its text, at most 64 bytes.

    Attributes:
        failures: how often the file could not be used, or held a damaged entry.
        problem: why it could not be used the last time that it could not, with the cure; None if it always could.
        max_bytes: as given.
        largest: bytes of the largest embedding that is kept: the bound's 8th part.
        crowded: entries that had to go for others although they were used on the same day: the bound is too low.
    """

    def __init__(
        self,
        memory: EmbeddingStore[NDArray[float32]],
        path: Path,
        *,
        max_bytes: int,
        precision: Precision,
        fingerprint: bytes,
    ) -> None:
        self.failures, self.crowded = 0, 0
        self.problem: str | None = None
        self._memory, self._path, self.max_bytes, self._precision = memory, path, max_bytes, precision
        self._fingerprint = fingerprint
        self.largest = max_bytes // _PARTS
        self._told: set[str] = set()
        self._begin()
        self._ask("read", self._file.size, 0)  # a new file is made now, and not in a search
        _open.add(self)

    def _begin(self) -> None:
        self._noting = threading.Lock()
        self._rest_until = {"read": 0.0, "write": 0.0}
        self._closed = False
        self._file = EmbeddingFile(self._path, self.max_bytes)
        self._writer = BackgroundWriter(self._write, self._unwritten, min(_BATCH_BYTES, self.largest))
        self._finalizer = weakref.finalize(self, self._file.close)
        self._finalizer.atexit = False  # `close` is called then

    def begin_anew(self) -> None:
        """In the child of a fork: leave alone the parent's threads and open files."""
        self._finalizer.detach()
        _inherited.append(self._file)
        self._begin()

    def get(self, key: bytes) -> NDArray[float32] | None:
        """The embedding under this key if it is in memory."""
        return self._memory.get(key)

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, NDArray[float32]]:
        """The embeddings under these keys, from memory or disk."""
        found = dict(self._memory.find(keys))
        missing = {self._name(key): key for key in keys if key not in found}
        packed, stale = self._ask("read", lambda: self._file.read(list(missing)), _NOTHING) if missing else _NOTHING
        for name, entry in packed.items():
            try:
                output = unpack(name, entry, self._precision)
            except ValueError as error:
                self._failed(f"{self._path} holds {error}: it is embedded anew")
            else:
                found[missing[name]] = output
                self._memory.put(missing[name], output)
        self._writer.touch(stale)
        return found

    def rounded(self, output: NDArray[float32]) -> NDArray[float32]:
        """The embedding with the precision that it is kept with."""
        return rounded(output, self._precision)

    def put(self, key: bytes, output: NDArray[float32]) -> None:
        """Keep an embedding as the model gave it, rounded here, as far as `keep` can."""
        self.keep(key, output)

    def keep(self, key: bytes, output: NDArray[float32]) -> bool:
        """As `put`; whether it will be on disk, as none is that is empty, not finite, or larger than `largest`."""
        self._memory.put(key, self.rounded(output))
        if self._closed or not output.size or not np.isfinite(output).all():
            return False
        name = self._name(key)
        packed = pack(name, output, self._precision)
        return len(packed) <= self.largest and self._writer.put(name, packed)

    def missing(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of these keys under which the disk holds nothing, nor will; the others count as used."""
        names = {self._name(key): key for key in keys}
        known, stale = self._ask("read", lambda: self._file.known(list(names)), _NONE)
        self._writer.touch(stale)
        there = known | self._writer.waiting(names.keys())
        return {key for name, key in names.items() if name not in there}

    def wait_for_room(self) -> None:
        """Block until the next embedding is sure to be written, however slow the disk is."""
        self._writer.wait_for_room()

    def flush(self) -> None:
        """Block until all is written."""
        self._writer.flush()

    def size(self) -> int:
        """Bytes of the file that are in use, by all models; 0 if it cannot be read."""
        return self._ask("read", self._file.size, 0)

    def close(self) -> None:
        """Write what is to be written, and close the file. Nothing is kept on disk any more. May be called twice."""
        self._writer.flush(_CLOSE_SECONDS)
        self._closed = True
        self._file.close()

    def _name(self, key: bytes) -> bytes:
        """What an embedding is called on disk: no two models have one in common."""
        return hashlib.blake2b(key, key=self._fingerprint, digest_size=16).digest()

    def _write(self, outputs: Mapping[bytes, bytes], used: Collection[bytes]) -> None:
        self.crowded += self._ask("write", lambda: self._file.write(outputs, used), 0)

    def _unwritten(self, error: BaseException) -> None:
        self.problem = f"{self._path} could not be written to ({error!r})."
        self._failed(f"{self.problem} These embeddings are computed anew.")

    def _ask(self, purpose: Literal["read", "write"], action: Callable[[], Result], otherwise: Result) -> Result:
        """What an action on the file gives; something else where it cannot be used for this purpose."""
        if self._closed or time.monotonic() < self._rest_until[purpose]:
            return otherwise
        try:
            return action()
        except (sqlite3.Error, OSError) as error:
            self._rest_until[purpose] = time.monotonic() + REST_SECONDS
            self.problem = f"{self._path} cannot be used ({error}): {_cure(str(error))}"
            self._failed(f"{self.problem} Until then its embeddings are computed anew.")
            return otherwise

    def _failed(self, what: str) -> None:
        with self._noting:
            self.failures += 1
            new = what not in self._told
            self._told.add(what)
        if new:
            _log.warning("%s", what)


#: What SQLite's messages have in common -> what to do.
_CURES: Mapping[str, str] = {
    "full": "free space on its disk.",
    "locked": "find out which program holds it.",
    "malformed": "delete it.",
    "not a database": "delete it, or name another folder.",
    "another version": "delete it, or name another folder.",
}


def _cure(problem: str) -> str:
    cures = (cure for part, cure in _CURES.items() if part in problem)
    return next(cures, "look at the rights to it and its folder, and at its disk.")


_open: weakref.WeakSet[DiskStore] = weakref.WeakSet()
# Never closed: SQLite forbids the child of a fork to touch what its parent had open.
_inherited: list[EmbeddingFile] = []


def _after_fork() -> None:
    for store in list(_open):
        store.begin_anew()


@atexit.register
def _close_all() -> None:
    for store in list(_open):
        store.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
