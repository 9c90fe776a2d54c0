"""Finding the words that a user asked for inside Query DSL."""

from __future__ import annotations

from typing import Any

import pytest

from rebridge_query_dsl.query_text import dsl_text

QUERIES: list[tuple[Any, str | None]] = [
    ({"match": {"title": "red shoes"}}, "red shoes"),
    ({"match": {"title": {"query": "red shoes", "operator": "and"}}}, "red shoes"),
    ({"match": {"year": 2020}}, "2020"),
    ({"match_phrase": {"title": {"query": "red shoes", "slop": 1}}}, "red shoes"),
    ({"match_phrase_prefix": {"title": "red sh"}}, "red sh"),
    ({"match_bool_prefix": {"title": "red sh"}}, "red sh"),
    ({"multi_match": {"query": "red shoes", "fields": ["title^2", "text"]}}, "red shoes"),
    ({"combined_fields": {"query": "red shoes", "fields": ["title"]}}, "red shoes"),
    ({"query_string": {"query": "title:red AND (shoes^2 OR -boots)"}}, "red shoes"),
    ({"simple_query_string": {"query": '"red shoes" | sneakers -boots'}}, "red shoes sneakers"),
    (
        {"intervals": {"a": {"all_of": {"intervals": [{"match": {"query": "red"}}, {"match": {"query": "shoes"}}]}}}},
        "red shoes",
    ),
    ({"bool": {"must": {"match": {"title": "red"}}, "should": [{"match": {"text": "shoes"}}]}}, "red shoes"),
    (
        {"bool": {"must": {"match": {"a": "x"}}, "filter": [{"match": {"b": "f"}}], "must_not": {"match": {"c": "n"}}}},
        "x",
    ),
    ({"bool": {"should": [{"match": {"title": "red shoes"}}, {"match": {"text": "red shoes"}}]}}, "red shoes"),
    ({"dis_max": {"queries": [{"match": {"a": "red"}}, {"match": {"b": "shoes"}}]}}, "red shoes"),
    ({"function_score": {"query": {"match": {"a": "red"}}, "functions": [{"filter": {"match": {"b": "no"}}}]}}, "red"),
    ({"script_score": {"query": {"match": {"a": "red"}}, "script": {"source": "1"}}}, "red"),
    ({"constant_score": {"filter": {"match": {"a": "red"}}}}, "red"),
    ({"nested": {"path": "p", "query": {"match": {"p.a": "red"}}}}, "red"),
    ({"boosting": {"positive": {"match": {"a": "red"}}, "negative": {"match": {"a": "no"}}}}, "red"),
    ({"more_like_this": {"like": ["red shoes", {"_id": "7"}]}}, "red shoes"),
    ({"neural": {"embedding": {"query_text": "red shoes", "k": 10}}}, "red shoes"),
    ({"hybrid": {"queries": [{"match": {"a": "red"}}, {"knn": {"v": {"vector": [1], "k": 3}}}]}}, "red"),
    ({"match_all": {}}, None),
    ({"term": {"sku": "A-1"}}, None),
    ({"bool": {"filter": [{"match": {"a": "red"}}]}}, None),
    ({"match": {"title": "  "}}, None),
    ({"match": None}, None),
    (None, None),
    ("red", None),
]  # fmt: skip


@pytest.mark.parametrize(("query", "text"), QUERIES, ids=[str(case[0])[:60] for case in QUERIES])
def test_query_dsl(query: Any, text: str | None) -> None:
    """What is asked for counts, each text once; what only filters or excludes does not."""
    assert dsl_text(query) == text
