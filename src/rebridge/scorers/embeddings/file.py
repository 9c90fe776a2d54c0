"""The file that embeddings are kept in: SQLite, which several processes may share and none can leave half-written.

Why not LMDB: it reads through mapped memory, so that a file that is cut off ends the process by a signal, and it drops
nothing by age to make room. SQLite does what is needed and comes with Python.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from rebridge.closing import Closing
from rebridge.write_ahead import write_ahead

#: Changes with the tables.
_FORMAT = 1
#: Bytes of a page: large enough that a matrix takes few of them, small enough that little of the last one is lost.
_PAGE = 8192
_TABLES = (
    # Apart from the outputs, so that noting a use rewrites a few bytes and not a matrix.
    "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_use ON entries (used, id)",
    "CREATE TABLE IF NOT EXISTS outputs (id INTEGER PRIMARY KEY, packed BLOB NOT NULL)",
)
#: Seconds to wait for a file that somebody has locked: searches wait for reading, nobody for writing, and a new file
#: takes a moment to be made.
_READ_PATIENCE, _WRITE_PATIENCE, _OPEN_PATIENCE = 0.1, 10.0, 2.0
#: SQLite takes so many values in a statement, in every version.
_MOST_VALUES = 500
#: What is freed when there is no room, beside what is needed: the bound's 32nd part.
_SPARE = 32
#: Bytes of the write-ahead log that stay on disk once they have been carried over.
_LOG_BYTES = 16 * 2**20
#: Bytes of an entry beside its output: its rows, its places in two indices.
_OVERHEAD = 256


def today() -> int:
    """Days since 1970: how finely uses are noted, so that an entry is written to at most once a day."""
    return int(time.time()) // 86_400


class EmbeddingFile(Closing):
    """Packed outputs under keys. Threads may share it; one of them reads at a time, and one writes.

    Args:
        path: the file, which is made with its folder when it is first used.
        max_bytes: the file's bound. Its write-ahead log may take some 20 MB more. Where there is no room, those entries
            go first that were not used for the most days, and of these those that were written first.
        day: tells the day, as a number.

    All methods raise `sqlite3.Error` or `OSError` where the file cannot be used.
    """

    def __init__(self, path: Path, max_bytes: int, day: Callable[[], int] = today) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._day = day
        self._reading = _Line(path, max_bytes, _READ_PATIENCE)
        self._writing = _Line(path, max_bytes, _WRITE_PATIENCE)

    def read(self, keys: Sequence[bytes]) -> tuple[Mapping[bytes, bytes], frozenset[bytes]]:
        """What is kept under these keys, and those of them whose use is not noted yet today."""
        rows = self._rows("SELECT key, used, packed FROM entries JOIN outputs USING (id) WHERE key IN ({})", keys)
        return {key: packed for key, _, packed in rows}, self._stale(rows)

    def known(self, keys: Sequence[bytes]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """Which of these keys something is kept under, and those of them whose use is not noted yet today."""
        rows = self._rows("SELECT key, used FROM entries WHERE key IN ({})", keys)
        return frozenset(key for key, *_ in rows), self._stale(rows)

    def write(self, outputs: Mapping[bytes, bytes], used: Collection[bytes] = ()) -> int:
        """Keep outputs, and note that those under other keys were used: all of it or nothing.

        Returns:
            How many entries had to go for it although they were used today: what is in use does not fit into the bound.
        """
        day = self._day()
        with self._writing() as connection:
            with _transaction(connection):
                connection.executemany("UPDATE entries SET used = ? WHERE key = ?", [(day, key) for key in used])
                needed = sum(_room(len(packed)) for packed in outputs.values())
                crowded = _make_room(connection, self.max_bytes, needed, day)
                for key, packed in outputs.items():
                    connection.execute("DELETE FROM outputs WHERE id = (SELECT id FROM entries WHERE key = ?)", (key,))
                    number = connection.execute("INSERT OR REPLACE INTO entries (key, used) VALUES (?, ?)", (key, day))
                    connection.execute("INSERT INTO outputs VALUES (?, ?)", (number.lastrowid, packed))
            if _number(connection, "page_count") * _PAGE > self.max_bytes:  # the bound was higher before
                connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free a single page
        return crowded

    def size(self) -> int:
        """Bytes that are in use."""
        with self._reading() as connection:
            return _used(connection)

    def close(self) -> None:
        """Close the file; a later use opens it again. Calling it twice is allowed."""
        self._reading.close()
        self._writing.close()

    def _rows(self, statement: str, keys: Sequence[bytes]) -> list[tuple[bytes, int, bytes]]:
        rows = []
        with self._reading() as connection:
            for start in range(0, len(keys), _MOST_VALUES):
                some = keys[start : start + _MOST_VALUES]
                rows += connection.execute(statement.format(",".join("?" * len(some))), some).fetchall()
        return rows

    def _stale(self, rows: Sequence[tuple[bytes, int, bytes]]) -> frozenset[bytes]:
        day = self._day()
        return frozenset(key for key, used, *_ in rows if used < day)


class _Line:
    """A connection that is opened when it is first used, for one thread at a time."""

    def __init__(self, path: Path, max_bytes: int, patience: float) -> None:
        self._path, self._max_bytes, self._patience = path, max_bytes, patience
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def __call__(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = _opened(self._path, self._max_bytes, self._patience)
            yield self._connection

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def _opened(path: Path, max_bytes: int, patience: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without an isolation level nothing begins a transaction but we ourselves.
    connection = sqlite3.connect(path, timeout=_OPEN_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        found = _number(connection, "user_version")
        if found not in (0, _FORMAT):
            raise sqlite3.DatabaseError("it was written by another version of rebridge")
        if not found:
            _make(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        connection.execute(f"PRAGMA max_page_count={max(1, max_bytes // _PAGE)}")
        connection.execute(f"PRAGMA busy_timeout={round(patience * 1000)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    """Make a new file's tables; several processes may try to at the same time."""
    connection.execute(f"PRAGMA page_size={_PAGE}")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # so that a bound that is lowered can be kept
    write_ahead(connection, _OPEN_PATIENCE)
    with _transaction(connection):
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version={_FORMAT}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself where the disk is full
            connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _used(connection: sqlite3.Connection) -> int:
    return (_number(connection, "page_count") - _number(connection, "freelist_count")) * _PAGE


def _make_room(connection: sqlite3.Connection, max_bytes: int, needed: int, day: int) -> int:
    """Drop the oldest entries until there is room; returns how many of them were used today."""
    most, crowded = max_bytes - needed, 0
    if _used(connection) <= most:
        return 0
    while (excess := _used(connection) - most + max_bytes // _SPARE) > 0:
        # What an entry takes of its pages shows when it is gone, so rather too few are dropped at a time.
        oldest = connection.execute(
            "SELECT id, used, length(packed) FROM entries JOIN outputs USING (id) ORDER BY used, id"
        )
        chosen = []
        for number, used, size in oldest:
            chosen.append((number,))
            crowded += used >= day
            excess -= _room(size)
            if excess <= 0:
                break
        oldest.close()
        if not chosen:
            break  # what is left is the tables themselves
        connection.executemany("DELETE FROM outputs WHERE id = ?", chosen)
        connection.executemany("DELETE FROM entries WHERE id = ?", chosen)
    return crowded


def _room(size: int) -> int:
    """The most bytes that an output of this size can take in the file, its entry included."""
    return size + min(size, _PAGE) + _OVERHEAD
