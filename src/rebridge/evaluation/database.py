"""The file that an evaluation keeps its work in: SQLite, so that whatever ends the process, what was written stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rebridge.closing import Closing
from rebridge.errors import ConfigError
from rebridge.write_ahead import write_ahead

#: Changes with the tables.
_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, scores BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    run BLOB NOT NULL, query BLOB NOT NULL, degraded INTEGER NOT NULL, answer BLOB NOT NULL, PRIMARY KEY (run, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run BLOB PRIMARY KEY, stage BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probes (
    stage BLOB PRIMARY KEY, generation TEXT NOT NULL, documents INTEGER NOT NULL, queries TEXT NOT NULL
) WITHOUT ROWID;
"""
#: Seconds to wait while another evaluation writes into the same file.
_PATIENCE = 30.0


class Database(Closing):
    """An open file of scores and answers. It belongs to the thread that opened it.

    Args:
        path: the file; made with its folders if it is not there.

    Raises:
        ConfigError: if it is a file of another kind, or of another version.
        OSError: if it cannot be made, or another program has locked it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(path, timeout=_PATIENCE)
        except sqlite3.Error as error:
            raise OSError(f"{path}: cannot be opened: {error}") from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        try:
            with self._translated(sqlite3.OperationalError):  # locked, or a disk that fails: nothing is wrong with it
                found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self.path} is no file of an evaluation ({error}). Delete it or name another."
            ) from error
        if found not in (0, _FORMAT):
            raise ConfigError(f"{self.path} was written by another version of rebridge. Delete it or name another.")
        with self._translated():
            write_ahead(self._connection, _PATIENCE)
            self._connection.executescript(f"{_TABLES} PRAGMA user_version={_FORMAT};")

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows that a statement gives, one after the other."""
        with self._translated():
            yield from self._connection.execute(statement, values)

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carry out a statement for each row: for all of them or none."""
        with self._translated(), self._connection:
            self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._connection.close()

    @contextmanager
    def _translated(self, kind: type[sqlite3.Error] = sqlite3.Error) -> Iterator[None]:
        try:
            yield
        except kind as error:
            text = str(error)
            cure = "free space on its disk" if "full" in text else "look whether another evaluation uses it"
            cure = "check its disk" if "I/O" in text else cure
            raise OSError(f"{self.path}: {error}: {cure}, and run the same command again: it resumes.") from error
