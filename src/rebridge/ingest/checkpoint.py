"""What an ingest remembers about its source, so that the next run of the same command goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rebridge.ingest.folders import text_files

if TYPE_CHECKING:
    from pathlib import Path

FINGERPRINT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """What must be the same for a position to mean the same.

    Attributes:
        source: absolute path.
        id_field: the field that ids are taken from; None for the default.
        size: bytes of a file; number of files of a folder.
        modified: time of the last change, in nanoseconds; of a folder, of any of its files.
        fingerprint: digest of a file's first bytes; of a folder, of all its files' paths, sizes and times.
    """

    source: str
    id_field: str | None
    size: int
    modified: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an ingest has come: everything up to `position` is durable, in the index or in the rejects file.

    Attributes:
        origin: the source as it was when the ingest began.
        position: the last one that is done; 0 for none.
        added: documents added so far.
        rejected: rejects written so far.
        rejects_size: bytes of the rejects file, what others had written to it included.
        complete: the source's end was reached.
    """

    origin: Origin
    position: int = 0
    added: int = 0
    rejected: int = 0
    rejects_size: int = 0
    complete: bool = False


def origin_of(source: Path, id_field: str | None) -> Origin:
    """Look at a source.

    Raises:
        OSError: if it cannot be read.
    """
    if source.is_dir():
        stats = [(path.relative_to(source).as_posix(), path.stat()) for path in text_files(source)]
        listing = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
        size, modified = len(stats), max((stat.st_mtime_ns for _, stat in stats), default=0)
        digest = hashlib.sha256(listing.encode("utf-8", "surrogateescape"))
    else:
        size, modified = source.stat().st_size, source.stat().st_mtime_ns
        with source.open("rb") as stream:
            digest = hashlib.sha256(stream.read(FINGERPRINT_BYTES))
    return Origin(str(source.absolute()), id_field, size, modified, digest.hexdigest())


def load(path: Path) -> Checkpoint | None:
    """The checkpoint in a file; None if there is no file, or it holds something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Checkpoint(**{**values, "origin": Origin(**values["origin"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # beginning again is always safe: documents are replaced by id


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that at any moment the file holds either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(asdict(checkpoint), stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
