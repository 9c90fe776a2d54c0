"""Comparing a pipeline with the index that is really there."""

from __future__ import annotations

from typing import Any

import pytest

from rebridge.config import PipelineConfig
from rebridge.connector import IndexFacts
from rebridge.inspection import NOT_INDEXED, misfits, names_in

FACTS = IndexFacts(
    "Engine 1",
    {
        "title": "text",
        "body": "text",
        "body.raw": "keyword",
        "year": "long",
        "brand": "object",
        "brand.name": "keyword",
        "both": "keyword/text",
        "note": NOT_INDEXED,
        "*_t": "text",
        "*_s": "string",
    },
    max_window=100,
)


def found(**keys: Any) -> dict[str, str]:
    sound = {"query_fields": {"title": 1}, "passage": {"template": "{title}"}}
    return dict(misfits(PipelineConfig.model_validate(sound | keys), FACTS))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"query_fields": {"body": 2, "both": 1, "summary_t": 1}},
        {"query_fields": {"tit*": 1, "body.raw": 3, "code_s": 1}},
        {"passage": {"template": "{brand.name}\n{brand}\n{note}\n{year}\n{code_s}"}},
        {"rank_window": 100},
    ],
)
def test_what_fits(keys: dict[str, Any]) -> None:
    """Fields of the index fit by name or pattern, and passages may use any field that documents have."""
    assert found(**keys) == {}


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"query_fields": {"titel": 1}}, "query_fields.titel", "Did you mean 'title'?"),
        ({"query_fields": {"year": 1}}, "query_fields.year", "is long, which is not searched by words"),
        ({"query_fields": {"note": 1}}, "query_fields.note", "is not indexed"),
        ({"query_fields": {"brand": 1}}, "query_fields.brand", "is object"),
        ({"query_fields": {"x*": 1}}, "query_fields.x*", "is not in the index"),
        ({"passage": {"template": "{title}\n{brand.nam}"}}, "passage.template", "Did you mean 'brand.name'?"),
        ({"rank_window": 101}, "rank_window", "at most 100 hits"),
    ],
)
def test_what_does_not_fit(keys: dict[str, Any], key: str, message: str) -> None:
    """A misfit names its key, what is wrong, and what would fit."""
    assert list(problems := found(**keys)) == [key]
    assert message in problems[key]


def test_names_in_a_document() -> None:
    """Objects and values of a document have dotted names, through lists too; empty ones as well."""
    document = {"a": {"b": [1, {"c": "x"}], "d": {}}, "e": [], "f": None}
    assert names_in(document) == {"a", "a.b", "a.b.c", "a.d", "e", "f"}
