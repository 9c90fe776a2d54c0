"""JSON that is read, changed in places and written again, in which every number keeps its value.

Whole numbers of any size and doubles survive Python's own `json`. Numbers with more digits, or beyond the range of a
double, do not; here they become a `decimal.Decimal`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import simplejson

#: Characters of a plain number that a double holds exactly, whatever its digits are.
_SURE = 15


class NotJson(ValueError):
    """A text is no JSON, or not such as can be written again with the same meaning."""


def loads(text: bytes | str, *, strict: bool = False) -> Any:
    """The value of a text.

    Args:
        text: JSON in UTF-8, 16 or 32.
        strict: refuse objects in which a name occurs twice, which readers take differently.

    Raises:
        NotJson: if it cannot be read.
    """
    try:
        return json.loads(text, parse_float=_number, object_pairs_hook=_distinct if strict else None)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def dumps(value: Any, *, indented: bool = False) -> bytes:
    """The value as UTF-8; characters that UTF-8 cannot hold (halves of surrogate pairs) are escaped.

    Raises:
        NotJson: if it is nested too deeply.
    """
    try:
        text = simplejson.dumps(
            value,
            use_decimal=True,
            ensure_ascii=False,
            allow_nan=True,
            indent=2 if indented else None,
            separators=(",", ":"),
        )
    except RecursionError as error:
        raise NotJson(str(error)) from error
    return text.encode("utf-8", "backslashreplace")


def _number(text: str) -> float | Decimal:
    number = float(text)
    if len(text) <= _SURE and "e" not in text and "E" not in text:
        return number
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) else exact


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("a name occurs twice in an object")
    return found
