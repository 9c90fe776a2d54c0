"""The making of an index, and what its fields are called.

Mapping: https://www.elastic.co/docs/manage-data/data-store/mapping (OpenSearch's is of the same shape).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rebridge.connector import TEXT
from rebridge_query_dsl.settings import ClusterSettings

# ISO 8601 with a T, as both engines read it, or with a blank.
_DATE_FORMAT = "strict_date_optional_time||yyyy-MM-dd HH:mm[:ss][.SSSSSS][.SSS][XXX]||epoch_millis"
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "keyword": {"type": "keyword"},
    "integer": {"type": "long"},
    "float": {"type": "double"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date", "format": _DATE_FORMAT},
}
#: Types of both engines that are searched by words.
_WORDS = frozenset({"text", "match_only_text", "annotated_text", "search_as_you_type", "semantic_text", "pattern_text"})


def new_index(settings: ClusterSettings) -> dict[str, Any]:
    """The body that creates an index with ``settings.fields``. Other fields of documents are kept, not searched."""
    own = {"number_of_shards": settings.shards, "number_of_replicas": settings.replicas}
    fields = {name: field_mapping(kind, settings.analyzer) for name, kind in (settings.fields or {}).items()}
    return {
        "settings": {name: value for name, value in own.items() if value is not None},
        "mappings": {"dynamic": False, "properties": fields},
    }


def field_mapping(kind: str | Mapping[str, Any], analyzer: str | None) -> dict[str, Any]:
    """One field's mapping; the engine's own is taken as it is."""
    if not isinstance(kind, str):
        return dict(kind)
    return {"type": "text", "analyzer": analyzer or "standard"} if kind == TEXT else dict(_TYPES[kind])


def field_names(capabilities: Mapping[str, Any]) -> dict[str, str]:
    """Field -> `TEXT` or the engine's type, from a reply of ``_field_caps``, without the engine's own fields.

    A field that has several types in several indices has them all, put together with a slash.
    """
    return {
        name: "/".join(sorted({TEXT if kind in _WORDS else kind for kind in kinds if kind != "unmapped"}))
        for name, kinds in capabilities.items()
        if not name.startswith("_")
    }
