"""The fields of a hit: which of them the user's own request brings, and which have to be asked for beside them.

The user's ``_source`` is never rewritten, since small differences change the reply: Elasticsearch leaves vectors out
of ``_source: true`` but not of ``_source: ["*"]``. What it leaves out comes by the ``fields`` option instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rebridge_query_dsl.options import inside, texts, url_params
from rebridge_query_dsl.request import Request

# Parts of a hit that the `fields` option fills; Elasticsearch uses the second for values too long for their field.
_PARTS = ("fields", "ignored_field_values")


def whole_source(request: Request) -> bool:
    """Whether the hits carry their documents whole, so that nothing has to be asked for."""
    params, body = url_params(request), request.body or {}
    if params.get("_source_includes") or params.get("_source_excludes"):
        return False
    if "_source" in params:
        return params["_source"] in (True, "true")
    wanted = body.get("_source")
    if isinstance(wanted, Mapping):
        return not any(wanted.get(key) for key in ("include", "includes", "exclude", "excludes"))
    if wanted is None:
        return not any("stored_fields" in part for part in (params, body)) and "script_fields" not in body
    return wanted is True or wanted == []


def missing_fields(request: Request, names: Iterable[str]) -> list[str]:
    """Those of the named fields that the request does not bring: neither in the source nor by name."""
    asked = _asked(request)
    return [] if whole_source(request) else [name for name in names if not asked(name)]


def values_by_name(hit: Mapping[str, Any], names: Iterable[str]) -> dict[str, list[Any]]:
    """The named values that the ``fields`` option brought, those too long for their field included."""
    parts = [hit[part] for part in _PARTS if isinstance(hit.get(part), Mapping)]
    found = {name: [value for part in parts for value in _values(part, name)] for name in names} if parts else {}
    return {name: values for name, values in found.items() if values}


def _values(fields: Mapping[str, Any], name: str) -> list[Any]:
    if name in fields:
        value = fields[name]
        return value if isinstance(value, list) else [value]
    found = []
    for key, items in fields.items():  # Elasticsearch puts values of nested documents into lists of objects
        if name.startswith(f"{key}.") and isinstance(items, list):
            rest = name[len(key) + 1 :]
            found += [value for item in items if isinstance(item, Mapping) for value in _values(item, rest)]
    return found


def own_fields(request: Request, hits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The hits without fields that the request did not ask for."""
    if whole_source(request):
        return list(hits)
    asked = _asked(request)
    return [_own(hit, asked) for hit in hits]


def _own(hit: Mapping[str, Any], asked: _Asked) -> Mapping[str, Any]:
    kept = {part: _kept(hit[part], "", asked) for part in _PARTS if part in hit}
    return {key: kept.get(key, value) for key, value in hit.items() if key not in kept or kept[key]}


def _kept(fields: Mapping[str, Any], before: str, asked: _Asked) -> dict[str, Any]:
    kept = {}
    for key, value in fields.items():
        name = before + key
        if asked(name):
            kept[key] = value
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            inner = [_kept(item, f"{name}.", asked) for item in value if isinstance(item, Mapping)]
            if any(inner):
                kept[key] = [item for item in inner if item]
    return kept


class _Asked:
    """Tells whether the request itself brings a field, by name or pattern."""

    def __init__(self, patterns: Iterable[str]) -> None:
        parts = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
        # Engines and their plugins put fields of their own under names like _percolator_document_slot.
        self._pattern = re.compile("|".join((*parts, "_.*")), re.DOTALL)

    def __call__(self, name: str) -> bool:
        return self._pattern.fullmatch(name) is not None


def _asked(request: Request) -> _Asked:
    params, body = url_params(request), request.body or {}
    patterns: list[Any] = []
    for key in ("fields", "docvalue_fields", "stored_fields"):
        entries = body.get(key)
        listed = entries if isinstance(entries, list | tuple) else [entries]
        patterns += [entry.get("field") if isinstance(entry, Mapping) else entry for entry in listed]
        patterns += texts(params.get(key))
    patterns += body["script_fields"] if isinstance(body.get("script_fields"), Mapping) else ()
    patterns += [inside(body, "collapse", "field"), inside(body, "retriever", "standard", "collapse", "field")]
    return _Asked(pattern for pattern in patterns if isinstance(pattern, str))
