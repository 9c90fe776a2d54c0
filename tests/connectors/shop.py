"""A small shop that the tests of the embedded engine search and change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rebridge_tantivy import CONNECTOR, Index, IndexSettings

FIELDS = {
    "title": "text",
    "text": {"type": "text", "boost": 0.5},
    "brand": "keyword",
    "stock": "integer",
    "price": "float",
    "used": "boolean",
    "added": "date",
    "meta.author": "text",
}
SHOP: list[tuple[str, dict[str, Any]]] = [
    (
        "red",
        {
            "title": "Red running shoes",
            "text": "Light shoes for the road.",
            "brand": ["Acme", "Acme Sport"],
            "stock": 3,
            "price": 79.5,
            "used": False,
            "added": "2024-01-02",
            "meta": {"author": ["Ann Lee", "Bob"]},
            "colour": {"hex": "#f00"},
        },
    ),
    (
        "blue",
        {"title": "Blue shoe", "brand": "Zed", "stock": 0, "price": 20, "used": True, "added": "2024-03-01T12:00Z"},
    ),
    ("cafe", {"title": "Café chair", "text": "A chair for the terrace, not for running.", "stock": 7}),
]


def open_at(path: Path, *, create: bool = False, **settings_: Any) -> Index:
    return CONNECTOR.open(IndexSettings.model_validate({"path": path, **settings_}), create=create)


def ids(index: Index, **request: Any) -> list[str]:
    return [hit["_id"] for hit in index.search(request)["hits"]["hits"]]
