"""What a request asks for when the URL and the body are taken together, as the engines do.

URL parameters: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search and
https://docs.opensearch.org/latest/api-reference/search-apis/search/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rebridge_query_dsl.request import Request

DEFAULT_SIZE = 10
_MOST = 2**31 - 1

# What a body may say too. The template endpoint takes these from the template alone and ignores them in the URL.
_SEARCH_PARAMS = frozenset({
    "_source", "_source_excludes", "_source_includes", "analyze_wildcard", "analyzer", "default_operator", "df",
    "docvalue_fields", "explain", "from", "include_named_queries_score", "lenient", "q", "seq_no_primary_term", "size",
    "sort", "source", "stats", "stored_fields", "suggest_field", "suggest_mode", "suggest_size", "suggest_text",
    "terminate_after", "timeout", "track_scores", "version",
})  # fmt: skip

# A number in text as the engines read it in a body, which is more than they allow in a URL.
_BODY_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_URL_NUMBER = re.compile(r"[+-]?\d+")


def url_params(request: Request) -> Mapping[str, Any]:
    """The URL parameters that count; a parameter that is None is not sent. opensearch-py hands over encoded texts."""
    ignored = _SEARCH_PARAMS if request.template is not None else frozenset()
    return {
        key: value.decode() if isinstance(value, bytes) else value
        for key, value in request.params.items()
        if value is not None and key not in ignored
    }


def page_of(request: Request) -> tuple[int, int] | None:
    """The page as (offset, size), where the URL beats the body; None if the engine would refuse it."""
    offset, size = _number(request, "from", 0), _number(request, "size", DEFAULT_SIZE)
    return None if offset is None or size is None else (offset, size)


def _number(request: Request, key: str, default: int) -> int | None:
    params, body = url_params(request), request.body or {}
    value = body_number(body[key]) if key in body else default
    if value is None or key not in params:
        return value
    text = str(params[key])
    return _in_range(int(text)) if _URL_NUMBER.fullmatch(text) else None


def body_number(value: Any) -> int | None:
    """A count in a body: a number or a number in text, cut to a whole one; None if the engine would refuse it."""
    if isinstance(value, str) and _BODY_NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
        return None
    return _in_range(int(value))


def _in_range(value: int) -> int | None:
    return value if 0 <= value <= _MOST else None


def inside(value: Any, *keys: str) -> Any:
    """What lies under these keys, one inside the other; None if it is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def texts(value: Any) -> list[str]:
    """The entries of a parameter that is a list, or text with commas; none for anything else."""
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        return []
    return [part.strip() for entry in entries if isinstance(entry, str) for part in entry.split(",") if part.strip()]
