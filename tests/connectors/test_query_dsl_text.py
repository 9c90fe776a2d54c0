"""Finding the words that a user asked for inside Query DSL."""

from __future__ import annotations

from typing import Any

import pytest

from rebridge_opensearch import CONNECTOR
from rebridge_query_dsl.query_text import dsl_text
from rebridge_query_dsl.request import Request

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
    ({"semantic": {"field": "a", "query": "red"}}, "red"),
    ({"sparse_vector": {"field": "a", "inference_id": "m", "query": "red"}}, "red"),
    ({"text_expansion": {"a": {"model_id": "m", "model_text": "red"}}}, "red"),
    ({"knn": {"field": "a", "query_vector_builder": {"text_embedding": {"model_text": "red"}}}}, "red"),
    ({"kql": {"query": 'title:red and not boots or "rock and roll"'}}, "red rock and roll"),
    ({"agentic": {"query_text": "red"}}, "red"),
    ({"rule": {"organic": {"match": {"a": "red"}}, "ruleset_ids": ["x"]}}, "red"),
    ({"pinned": {"organic": {"match": {"a": "red"}}, "ids": ["1"]}}, "red"),
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


SHOES: dict[str, Any] = {"match": {"title": "red shoes"}}
TERM: dict[str, Any] = {"term": {"brand": "acme"}}
TEXTS: list[tuple[str | None, dict[str, Any], dict[str, Any] | None, tuple[str, ...]]] = [
    ("red shoes", {}, {"query": SHOES}, ()),
    ("blue hat", {"q": "title:blue AND hat^2"}, {"query": SHOES}, ()),
    (None, {"q": "year:[1 TO 2]"}, {"query": SHOES}, ()),
    (None, {}, None, ()),
    (None, {}, {"query": {"match_all": {}}}, ()),
    (None, {}, {"suggest": {"s": {"text": "shoo"}}}, ()),
    ("acme", {}, {"query": TERM}, ("term_query",)),
    ("acme 2020", {}, {"query": {"bool": {"must": [{"terms": {"a": ["acme", 2020], "boost": 2}}]}}}, ("term_query",)),
    ("ac me", {}, {"query": {"wildcard": {"a": {"wildcard": "ac?me*"}}}}, ("term_query",)),
    ("ac acme", {}, {"query": {"bool": {"should": [{"prefix": {"a": "ac"}}, {"fuzzy": {"b": {"value": "acme"}}}]}}},
     ("term_query",)),
    (None, {}, {"query": {"regexp": {"a": "ac.*"}}}, ()),
    ("red shoes", {}, {"query": {"bool": {"filter": [SHOES]}}}, ("filter_text",)),
    ("red shoes", {}, {"query": {"match_all": {}}, "post_filter": SHOES}, ("filter_text",)),
    ("acme", {}, {"query": {"bool": {"must": [TERM], "filter": [SHOES]}}}, ("term_query",)),
    ("acme", {}, {"query": {"bool": {"filter": TERM, "must_not": SHOES}}}, ("term_query", "filter_text")),
    ("red shoes", {}, {"query": {"bool": {"must": [TERM, SHOES]}}}, ()),
    ("red shoes", {}, {"retriever": {"standard": {"query": SHOES}}}, ()),
    ("red shoes boots", {},
     {"retriever": {"rrf": {"retrievers": [
         {"standard": {"query": SHOES}},
         {"retriever": {"standard": {"query": {"match": {"title": "boots"}}}}, "weight": 2},
         {"knn": {"field": "v", "query_vector_builder": {"text_embedding": {"model_text": "boots"}}}}]}}}, ()),
    ("hat", {}, {"retriever": {"linear": {"query": "hat", "fields": ["title"]}}}, ()),
    ("hat", {},
     {"retriever": {"text_similarity_reranker": {
         "inference_text": "hat", "retriever": {"standard": {"query": SHOES}}}}}, ()),
    ("red shoes", {}, {"retriever": {"pinned": {"ids": ["1"], "retriever": {"rule": {
        "retriever": {"rescorer": {"rescore": {}, "retriever": {"standard": {"query": SHOES}}}}}}}}}, ()),
    ("red shoes hat", {}, {"sub_searches": [{"query": SHOES}, {"query": {"match": {"title": "hat"}}}]}, ()),
    ("hat", {}, {"knn": {"field": "v", "query_vector_builder": {"text_embedding": {"model_text": "hat"}}}}, ()),
    ("red", {}, {"query": {"hybrid": {"queries": [{"match": {"a": "red"}}, {"knn": {"v": {"vector": [1]}}}]}}}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "params", "body", "doubts"), TEXTS)
def test_query_text(
    text: str | None, params: dict[str, Any], body: dict[str, Any] | None, doubts: tuple[str, ...]
) -> None:
    """Words come from `q`, else from the query; exact values and filters are a last resort, and doubtful."""
    asked = CONNECTOR.read(Request("docs", params, body))
    assert (asked.query_text, asked.doubts, asked.explicit) == (text, doubts, False)
