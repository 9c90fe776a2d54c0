"""The rejects file: one line of JSON per piece of the source that is not in the index, with the reason."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rebridge.ingest.items import Reject


@dataclass(slots=True)
class RejectsFile:
    """Appends rejects to a file; what is in it is never changed, so several ingests may share one.

    Attributes:
        path: the file; it appears with the first reject.
        written: lines that are in the file although the last checkpoint does not know of them.
    """

    path: Path
    written: set[bytes] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def recover(self, size: int) -> None:
        """Find out which rejects a run wrote after its last checkpoint, when the file had this size."""
        if self.size <= size:
            return
        with self.path.open("r+b") as stream:
            stream.seek(size)
            tail = stream.read()
            whole = tail[: tail.rfind(b"\n") + 1]
            stream.truncate(size + len(whole))  # a line that was cut off by a crash will be written again
        self.written = set(whole.splitlines())

    def append(self, rejects: Iterable[Reject]) -> None:
        """Write rejects durably, except those that are there already."""
        lines = [line for reject in rejects if (line := _line(reject)) not in self.written]
        if lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(b"".join(line + b"\n" for line in lines))
                stream.flush()
                os.fsync(stream.fileno())


def _line(reject: Reject) -> bytes:
    values = {"source": reject.source, "line": reject.line, "problem": reject.problem, "raw": reject.raw}
    return json.dumps(values).encode()
