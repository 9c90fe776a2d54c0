"""One way to read documents, whatever they are stored in."""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError, RebridgeError
from rebridge.ingest.folders import read_folder, text_files
from rebridge.ingest.items import MAX_BYTES, Record, Reject
from rebridge.ingest.rows import read_csv, read_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

__all__ = ["Record", "Reject", "read"]

#: How a file is read, by its extension.
READERS: Mapping[str, Callable[..., Generator[Record | Reject, None, None]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": partial(read_csv, delimiter="\t"),
}


def read(
    source: str | Path, *, id_field: str | None = None, start: int = 0, max_bytes: int = MAX_BYTES
) -> Generator[Record | Reject, None, None]:
    """Read the documents of a JSONL, CSV or TSV file (also with ``.gz``), or of a folder of text files.

    Memory does not grow with the source. Blank lines are ignored, and so is a byte order mark. Ids: see
    `rebridge.ingest.items.identify`; a row without one gets ``<file name>:<line>``, a file in a folder its path.

    Args:
        source: the file or folder; a file's extension says what it is.
        id_field: the field that holds the ids; None for ``_id`` or ``id`` where a document has one.
        start: the position after which to begin; 0 for the beginning.
        max_bytes: the longest line of a file, or file of a folder, that is read.

    Yields:
        a record for each document and a reject for each piece that is none, in the source's order.

    Raises:
        ConfigError: if the source does not exist or is of another kind, or `id_field` does not fit it.
        RebridgeError: if reading fails midway.
    """
    source = Path(source)
    check_source(source, id_field)
    try:
        if source.is_dir():
            yield from read_folder(source, start=start, max_bytes=max_bytes)
        else:
            yield from READERS[_kind(source)](source, id_field=id_field, start=start, max_bytes=max_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise RebridgeError(f"{source} could not be read to its end: {error}") from error


def count_items(source: Path) -> int | None:
    """How many positions a source has, for a progress bar; None where only reading it would tell."""
    if source.is_dir():
        return len(text_files(source))
    if source.suffix == ".gz" or READERS[_kind(source)] is not read_jsonl:
        return None
    with source.open("rb") as lines:
        return sum(1 for _ in lines)


def check_source(source: Path, id_field: str | None) -> None:
    """Find out before the first document whether a source can be read.

    Raises:
        ConfigError: if it does not exist or is of an unknown kind, or an id field is named for a folder.
    """
    if source.is_dir():
        if id_field:
            raise ConfigError(f"{source} is a folder: the ids are the files' paths, not a field {id_field!r}.")
    elif not source.is_file():
        raise ConfigError(f"There is no file or folder {source}.")
    elif _kind(source) not in READERS:
        kinds = ", ".join(READERS)
        raise ConfigError(f"{source}: cannot tell what it is. Use {kinds} (also with .gz) or a folder of text files.")


def _kind(source: Path) -> str:
    """The extension that says how to read a file."""
    return Path(source.stem if source.suffix == ".gz" else source.name).suffix.lower()
