"""Opening SQLite files that several processes write to at once."""

from __future__ import annotations

import sqlite3
import time


def write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers go on while somebody writes: https://sqlite.org/wal.html.

    A commit then costs no wait for the disk; a power failure may cost the last ones, never the file. SQLite does not
    wait for its turn to switch a new file over, so we do.

    Args:
        connection: of a file; it stays as it is in memory.
        patience: seconds to wait for our turn.

    Raises:
        sqlite3.Error: if it never came, or the file cannot be written.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            break
    connection.execute("PRAGMA synchronous=NORMAL")
