"""What a reader yields, and the rules that all readers share: ids, problems and excerpts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: One line of a JSONL or CSV file, or one file of a folder, may be this long; a longer one is a reject.
MAX_BYTES = 16 * 1024 * 1024
#: How much of a bad line a reject shows, in characters.
EXCERPT = 1000
#: Where an id is looked for if no field is named for it, in this order.
ID_FIELDS = ("_id", "id")


@dataclass(frozen=True, slots=True)
class Record:
    """A document as it was read.

    Attributes:
        position: how many lines, rows or files of the source are read after this one; the start of a resumed read.
        source: the file, as it was given, or its path in the folder.
        line: where it begins in that file, from 1.
        doc_id: its id, never empty.
        fields: its fields, without ``_id``.
        size: bytes that it takes in the source, so that batches stay within memory.
    """

    position: int
    source: str
    line: int
    doc_id: str
    fields: dict[str, Any]
    size: int

    def rejected(self, problem: str) -> Reject:
        """The reject that takes this record's place if a later check fails."""
        raw = json.dumps(self.fields, ensure_ascii=False, default=str)
        return Reject(self.position, self.source, self.line, problem, excerpt(raw))


@dataclass(frozen=True, slots=True)
class Reject:
    """A piece of the source that is not a document.

    Attributes:
        position: as of a record.
        source: as of a record.
        line: where it is in that file, from 1.
        problem: what is wrong with it, for a person.
        raw: the beginning of it.
    """

    position: int
    source: str
    line: int
    problem: str
    raw: str


class Problem(Exception):
    """One document cannot be used; the message says why."""


def excerpt(raw: str | bytes) -> str:
    """The beginning of a bad line, without its line break, for the rejects file."""
    if isinstance(raw, bytes):
        raw = raw[: 4 * EXCERPT].decode("utf-8", "backslashreplace")
    return raw[:EXCERPT].rstrip("\r\n")


def too_long(max_bytes: int) -> Problem:
    """The problem of a line or file over the limit."""
    return Problem(f"longer than {max_bytes:,} bytes")


def bad_utf8(error: UnicodeDecodeError) -> Problem:
    """The problem of bytes that are not text."""
    return Problem(f"not valid UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}")


def identify(fields: Mapping[str, Any], id_field: str | None, default: str) -> tuple[str, dict[str, Any]]:
    """Find a document's id.

    The id comes from the field ``id_field``, else from ``_id`` or ``id`` if the document has one, else it is
    ``default``. A field called ``_id`` is removed, since engines keep that name for themselves; any other stays.

    Returns:
        the id as text, and the fields.

    Raises:
        Problem: if the field is missing, or its value is empty or neither text nor a whole number.
    """
    name = id_field or next((name for name in ID_FIELDS if name in fields), None)
    doc_id = default
    if name is not None:
        value = fields.get(name)
        if name not in fields:
            raise Problem(f"no field {name!r} to take the id from")
        if value is None or (isinstance(value, str) and not value.strip()):
            raise Problem(f"the id in {name!r} is empty")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Problem(f"the id in {name!r} is neither text nor a whole number: {excerpt(repr(value))[:50]}")
        doc_id = str(value)
    return doc_id, {key: value for key, value in fields.items() if key != "_id"}
