"""Guessing the types of a collection's fields from a sample, so that an index can be made without a schema."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FieldType = Literal["text", "keyword", "integer", "float", "boolean", "date"]

#: Fields of these names hold words to search even where the sample has single words only.
ALWAYS_TEXT = frozenset({"title", "text", "body", "content", "description", "summary", "abstract"})
LONGEST_KEYWORD = 100
LARGEST_INTEGER = 2**63 - 1
INTEGER = re.compile(r"-?(0|[1-9]\d{0,18})")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}\S*)?")


def infer_fields(sample: Iterable[Mapping[str, Any]], *, numbers_are_text: bool = False) -> dict[str, FieldType]:
    """Guess a type for every field that has a value in the sample.

    The fields of an object get dotted names (``author.name``); a list counts as its elements; null and empty text
    count as nothing. In this order, over all values of a field:

    1. all true or false: ``boolean``
    2. all whole numbers of at most 64 bits: ``integer``
    3. all numbers: ``float``
    4. named ``title``, ``text``, ``body``, ``content``, ``description``, ``summary`` or ``abstract``: ``text``
    5. all text in the form of ISO 8601 dates or times (``2024-05-01``, ``2024-05-01T10:00:00Z``): ``date``
    6. all without blanks and at most 100 characters long, as codes, tags and addresses are: ``keyword``
    7. else: ``text``

    Text that looks like a number stays a ``keyword``, unless numbers are text in this source, as in a table; even
    there "007" is not 7.

    Args:
        sample: the fields of some documents.
        numbers_are_text: the source knows no types, so that numbers, true and false come as text.

    Returns:
        name -> type, in the order in which the names first appear.
    """
    types: dict[str, set[FieldType]] = {}
    for fields in sample:
        for name, value in _leaves(fields):
            types.setdefault(name, set()).add(_type_of(_typed(value) if numbers_are_text else value))
    return {name: _common(name, found) for name, found in types.items()}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value under its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif value is not None and value != "":
        yield name, value


def _typed(text: Any) -> Any:
    """The value that a cell of a table stands for."""
    if not isinstance(text, str):
        return text
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text


def _type_of(value: Any) -> FieldType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) and abs(value) <= LARGEST_INTEGER else "float"
    text = str(value)
    if _is_date(text):
        return "date"
    return "keyword" if len(text) <= LONGEST_KEYWORD and not re.search(r"\s", text) else "text"


def _is_date(text: str) -> bool:
    if not ISO_DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _common(name: str, found: set[FieldType]) -> FieldType:
    """The one type that can hold all values of a field."""
    if found <= {"integer", "float"}:
        return "float" if "float" in found else "integer"
    if found == {"boolean"}:
        return "boolean"
    if "text" in found or name.rpartition(".")[2] in ALWAYS_TEXT:
        return "text"
    return "date" if found == {"date"} else "keyword"
