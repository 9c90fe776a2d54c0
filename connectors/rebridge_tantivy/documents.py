"""The values of a document: found by dotted name, converted to a field's type, kept as they came."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from tantivy import MAX_DATETIME, MIN_DATETIME

from rebridge_tantivy.settings import FieldType

#: Longest id and longest keyword in UTF-8 bytes. tantivy silently drops terms over 65,530 bytes.
MAX_ID_BYTES, MAX_KEYWORD_BYTES = 512, 32_766
_INTEGERS = range(-(2**63), 2**63)
_BOOLEANS = {"true": True, "false": False}


def values(fields: object, name: str) -> Iterator[Any]:
    """Every value under a dotted name, through nested objects and lists; None counts as absent.

    A key that holds the dots itself goes before nesting.
    """
    if isinstance(fields, (list, tuple)):
        for item in fields:
            yield from values(item, name)
    elif isinstance(fields, Mapping):
        head, _, rest = name.partition(".")
        if name in fields:
            yield from _leaves(fields[name])
        elif rest and head in fields:
            yield from values(fields[head], rest)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def pick(fields: Any, names: Iterable[str]) -> Any:
    """The part of a document under these dotted names, in the document's own shape."""
    wanted = set(names)
    if isinstance(fields, (list, tuple)):
        return [pick(item, wanted) for item in fields if isinstance(item, (Mapping, list, tuple))]
    picked = {}
    for key, value in fields.items():
        nested = {name[len(key) + 1 :] for name in wanted if name.startswith(f"{key}.")}
        if key in wanted:
            picked[key] = value
        elif nested and isinstance(value, (Mapping, list, tuple)) and (part := pick(value, nested)):
            picked[key] = part
    return picked


def encode_source(fields: Mapping[str, Any]) -> bytes:
    """The whole document as JSON. Dates are written in ISO 8601 and tuples as lists.

    Raises:
        ValueError: if a value has no place in JSON, or in UTF-8; the text names the field.
    """
    try:
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, default=_iso).encode()
    except (TypeError, ValueError, RecursionError) as error:
        for name, value in fields.items():
            try:
                json.dumps({name: value}, ensure_ascii=False, allow_nan=False, default=_iso).encode()
            except UnicodeEncodeError:
                raise ValueError(f"field {name!r} holds a lone surrogate, which is not text") from error
            except (TypeError, ValueError, RecursionError) as cause:
                raise ValueError(f"field {name!r} cannot be stored as JSON: {cause}") from error
        raise


def decode_source(content: bytes) -> dict[str, Any]:
    """The document that `encode_source` wrote."""
    source: dict[str, Any] = json.loads(content)
    return source


def _iso(value: object) -> str:
    if isinstance(value, date):  # a datetime is a date as well
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def convert(kind: FieldType, value: Any) -> Any:
    """A value as tantivy wants it for a field of this type.

    Numbers and booleans become text where text is wanted; text that is a number, a boolean or an ISO 8601 date
    becomes that where it is wanted. A date without a time zone counts as UTC, and dates count to the second.

    Raises:
        ValueError: if the value does not fit the type.
    """
    try:
        return _CONVERTERS[kind](value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{_short(value)} is not a valid {kind}{_HINTS.get(kind, '')}") from error


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004 - enough to recognise it in a message


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if not isinstance(value, (str, int, float)):
        raise TypeError
    text = unicodedata.normalize("NFC", str(value))
    text.encode()  # a lone surrogate is a ValueError here
    return text


def _keyword(value: Any) -> str:
    text = value if isinstance(value, str) else _text(value)
    if len(text.encode()) > MAX_KEYWORD_BYTES:
        raise ValueError
    return text


def _integer(value: Any) -> int:
    number = value if isinstance(value, float) else int(value)
    if isinstance(value, bool) or int(number) != number or int(number) not in _INTEGERS:
        raise ValueError
    return int(number)


def _float(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[value]


def _date(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
    if value is None:
        raise TypeError
    moment: datetime = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).replace(microsecond=0)
    if not MIN_DATETIME <= moment <= MAX_DATETIME:
        raise ValueError
    return moment


_CONVERTERS: dict[FieldType, Any] = {
    "text": _text,
    "keyword": _keyword,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "date": _date,
}
_HINTS: dict[FieldType, str] = {
    "keyword": f" (text of at most {MAX_KEYWORD_BYTES} bytes)",
    "integer": " (64 bits)",
    "date": " (write ISO 8601, from 1677-09-22 to 2262-04-11)",
}
