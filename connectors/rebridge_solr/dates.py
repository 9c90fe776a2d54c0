"""Dates as Solr takes them.

https://solr.apache.org/guide/solr/latest/indexing-guide/date-formatting-math.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}\S*)?")
_SOLRS = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z")
#: Classes of field types that take nothing but points in time. A DateRangeField takes whole days by itself.
_CLASSES = ("DatePointField", "TrieDateField")


def date_fields(fields: Iterable[Mapping[str, Any]], types: Iterable[Mapping[str, Any]]) -> Mapping[str, bool]:
    """Names and patterns of a schema's fields, as its Schema API tells them -> whether they hold dates."""
    dates = {kind["name"] for kind in types if str(kind.get("class", "")).endswith(_CLASSES)}
    return {field["name"]: field["type"] in dates for field in fields}


def with_dates(document: Mapping[str, Any], schema: Mapping[str, bool]) -> dict[str, Any]:
    """The document with ISO 8601 dates in Solr's form, where its fields hold dates."""
    return {name: _value(value) if _holds_dates(name, schema) else value for name, value in document.items()}


def in_solrs_form(text: str) -> str:
    """An ISO 8601 date or time in Solr's form; one without a zone is in UTC. Any other text as it is."""
    if _SOLRS.fullmatch(text) or not _ISO.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _holds_dates(name: str, schema: Mapping[str, bool]) -> bool:
    if name in schema:
        return schema[name]
    fitting = [pattern for pattern in schema if fnmatchcase(name, pattern)]
    return schema[max(fitting, key=len)] if fitting else False  # Solr takes the longest pattern


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return in_solrs_form(value)
    return [_value(inner) for inner in value] if isinstance(value, list | tuple) else value
