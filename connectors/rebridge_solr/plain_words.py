"""A request for plain words over weighted fields, with filters."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

from rebridge.errors import ConnectorError
from rebridge_solr.request import Request

# All that the extended DisMax parser gives a meaning to
# (https://solr.apache.org/guide/solr/latest/query-guide/edismax-query-parser.html), and the words among it.
_SPECIAL = re.compile(r'([+\-!(){}\[\]^"~*?:\\/&|$@#<>=%`])')
_OPERATOR = re.compile(r"(?<!\S)(AND|OR|NOT|TO|and|or)(?!\S)")
_BOUNDS = {"gte": "[", "gt": "{", "lte": "]", "lt": "}"}
#: What decides about hits and scores if a handler has other defaults: any word is enough, each adds its best field's
#: score and three tenths of the others', as with the other engines here.
_BAG_OF_WORDS = {
    "defType": "edismax",
    "q.op": "OR",
    "mm": "0",
    "tie": "0.3",
    "sow": "false",
    "uf": "-*",
    "lowercaseOperators": "false",
    "stopwords": "true",
    "sort": "score desc",
    "group": "false",
    "fl": "*,score",
}


def plain_words(
    text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
) -> Request:
    """A request for the hits that hold any of these words; operators in the text are words like others.

    Args:
        text: what somebody typed.
        fields: field -> weight; with none the handler's own ``qf`` or ``df`` counts.
        offset: hits to skip.
        size: hits to answer.
        filters: field -> value, list of values, or range with ``gte``, ``gt``, ``lte``, ``lt``.

    Raises:
        ConnectorError: if a filter is none of these.
    """
    params: dict[str, Any] = {"q": escaped(text), **_BAG_OF_WORDS, "start": offset, "rows": size}
    if fields:
        params["qf"] = " ".join(f"{name}^{weight:g}" for name, weight in fields.items())
    if filters:
        params["fq"] = [_filter(name, value) for name, value in filters.items()]
    return Request(params, rerank_query=text)


def escaped(text: str) -> str:
    """The text with a backslash before everything that could be an operator."""
    clean = text.encode("utf-8", "replace").decode()
    return _OPERATOR.sub(r"\\\1", _SPECIAL.sub(r"\\\1", clean))


def _filter(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{_name(name)}:{_range(name, value)}"
    return exactly(name, value if isinstance(value, list | tuple | set | frozenset) else [value])


def exactly(name: str, values: Collection[Any]) -> str:
    """A filter for documents whose field has one of these values."""
    if not values:
        return "-*:*"
    return f"{_name(name)}:({' OR '.join(_quoted(name, one) for one in values)})"


def _name(name: str) -> str:
    return re.sub(r"([^\w.])", r"\\\1", name)


def _range(name: str, bounds: Mapping[str, Any]) -> str:
    lower, upper = ([key for key in bounds if key in pair] for pair in (("gte", "gt"), ("lte", "lt")))
    if not bounds or len(lower) > 1 or len(upper) > 1 or bounds.keys() - _BOUNDS:
        raise ConnectorError(f"The filter on {name!r} is no range: give gte or gt, and lte or lt, not {bounds!r}.")
    start = f"{_BOUNDS[lower[0]]}{_quoted(name, bounds[lower[0]])}" if lower else "[*"
    end = f"{_quoted(name, bounds[upper[0]])}{_BOUNDS[upper[0]]}" if upper else "*]"
    return f"{start} TO {end}"


def _quoted(name: str, value: Any) -> str:
    """A value as a phrase, which for other than text fields is one exact value."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, datetime):
        value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).isoformat().replace("+00:00", "Z")
    elif isinstance(value, date):
        value = f"{value.isoformat()}T00:00:00Z"
    elif not isinstance(value, str | int | float):
        raise ConnectorError(f"The filter on {name!r} must be text, a number, a boolean or a date, not {value!r}.")
    return '"' + re.sub(r'(["\\])', r"\\\1", str(value)) + '"'
