"""Reading requests of Elasticsearch and OpenSearch: page, query text, and whether they can be reranked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConnectorError
from rebridge_opensearch import CONNECTOR, Request

SHOES: dict[str, Any] = {"match": {"title": "red shoes"}}
BODY: dict[str, Any] = {"query": SHOES}


@pytest.mark.parametrize(
    ("params", "body", "page"),
    [
        ({}, BODY, (0, 10)),
        ({}, None, (0, 10)),
        ({}, {"from": 5, "size": 3}, (5, 3)),
        ({}, {"from": "5", "size": " 3 "}, (5, 3)),
        ({}, {"from": 5.7, "size": "1e1"}, (5, 10)),
        ({"from": "7", "size": 2}, {"from": 5, "size": 3}, (7, 2)),
        ({"size": "+05"}, {"from": 5}, (5, 5)),
        ({"size": None}, {"size": 3}, (0, 3)),
    ],
)
def test_page(params: dict[str, Any], body: dict[str, Any] | None, page: tuple[int, int]) -> None:
    """The URL beats the body, and numbers may be text, as the engines take them."""
    asked = CONNECTOR.read(Request("docs", params, body))
    assert (asked.offset, asked.size) == page
    assert asked.bypass is None


@pytest.mark.parametrize("key", ["from", "size"])
@pytest.mark.parametrize("value", [-1, "-1", "five", "", True, None, [], {}, 2**31, "1_0", "٣", float("nan")])
def test_page_in_the_body_that_the_engine_refuses(key: str, value: Any) -> None:
    """A page that the engine refuses is left to the engine, whose words the user then sees."""
    assert CONNECTOR.read(Request("docs", {}, {**BODY, key: value})).bypass == "invalid_page"


@pytest.mark.parametrize("value", ["-1", "5.0", " 5", "five", "", True, "2147483648", [5]])
def test_page_in_the_url_that_the_engine_refuses(value: Any) -> None:
    """The URL takes fewer ways to write a number than the body."""
    assert CONNECTOR.read(Request("docs", {"size": value}, BODY)).bypass == "invalid_page"


def test_page_in_the_body_counts_even_if_the_url_beats_it() -> None:
    """The engine refuses a wrong size in the body although the URL has another."""
    assert CONNECTOR.read(Request("docs", {"size": "5"}, {**BODY, "size": "five"})).bypass == "invalid_page"


BYPASSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("size_0", {}, {"size": 0}),
    ("size_0", {"size": "0"}, {"size": 5}),
    ("scroll", {"scroll": "1m"}, {}),
    ("point_in_time", {}, {"pit": {"id": "x"}}),
    ("search_after", {}, {"search_after": [1.0], "sort": ["_score"]}),
    ("search_after", {}, {"retriever": {"standard": {"query": SHOES, "search_after": [1]}}}),
    ("slice", {}, {"slice": {"id": 0, "max": 2}}),
    ("own_sort", {}, {"sort": "year"}),
    ("own_sort", {}, {"sort": ["year", "_score"]}),
    ("own_sort", {}, {"sort": {"_score": "asc"}}),
    ("own_sort", {}, {"sort": [{"_score": {"order": "asc"}}]}),
    ("own_sort", {}, {"sort": "_score:desc"}),
    ("own_sort", {}, {"sort": "_doc"}),
    ("own_sort", {"sort": "year:desc"}, {}),
    ("own_sort", {"sort": "_score:asc"}, {}),
    ("own_sort", {"sort": "_score"}, {"sort": "year"}),
    ("own_sort", {}, {"retriever": {"standard": {"query": SHOES, "sort": ["year"]}}}),
    ("stored_fields_none", {}, {"stored_fields": "_none_"}),
    ("stored_fields_none", {}, {"stored_fields": ["_none_"]}),
    ("stored_fields_none", {"stored_fields": "_none_"}, {}),
    ("format", {"format": "yaml"}, {}),
    ("body_in_url", {"source": "{}"}, {}),
]


@pytest.mark.parametrize(("reason", "params", "body"), BYPASSED)
def test_bypassed(reason: str, params: dict[str, Any], body: dict[str, Any]) -> None:
    """What cannot be reranked says why, and is sent as it came."""
    request = Request("docs", params, {**BODY, **body})
    asked = CONNECTOR.read(request)
    assert asked.bypass == reason
    assert asked.native is request


@pytest.mark.parametrize("body", ["{}", b"{}", [1]])
def test_bodies_that_are_no_objects(body: Any) -> None:
    """A body that is no object is the engine's to judge."""
    request = Request("docs", {}, body)
    asked = CONNECTOR.read(request)
    assert (asked.bypass, asked.native) == ("unreadable_body", request)


def test_foreign_requests() -> None:
    """What is no request of these engines is an error."""
    with pytest.raises(ConnectorError, match="not a request"):
        CONNECTOR.read({"query": SHOES})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sort", ["_score", ["_score"], [{"_score": "DESC"}], {"_score": {"order": "desc"}}, {"_score": {}}, [], {}]
)
def test_sorted_by_score(sort: Any) -> None:
    """Sorting by the highest score is what happens anyway."""
    asked = CONNECTOR.read(Request("docs", {}, {**BODY, "sort": sort}))
    assert (asked.bypass, asked.doubts) == (None, ())


@pytest.mark.parametrize(
    ("params", "sort"),
    [
        ({}, ["_score", "year"]),
        ({}, [{"_score": "desc", "year": "asc"}]),
        ({"sort": "_score,year"}, []),
        ({"sort": "year"}, "_score"),
    ],
)
def test_tie_breaker(params: dict[str, Any], sort: Any) -> None:
    """The score and then something else is a doubtful order; the URL's sort comes after the body's."""
    asked = CONNECTOR.read(Request("docs", params, {**BODY, "sort": sort}, rerank_query="boots"))
    assert (asked.bypass, asked.doubts) == (None, ("tie_breaker",))


PASSED_ON: list[dict[str, Any]] = [
    {"terminate_after": 5, "timeout": "1s", "min_score": 1, "explain": True, "profile": True},
    {"collapse": {"field": "year"}, "rescore": {}, "aggs": {}, "highlight": {}, "suggest": {}, "knn": {}},
]


@pytest.mark.parametrize("body", PASSED_ON)
def test_reranked(body: dict[str, Any]) -> None:
    """All that does not decide the order leaves a request to be reranked, and the request untouched."""
    request = Request("docs", {"routing": "a", "preference": "_local", "search_type": "x"}, {**BODY, **body})
    asked = CONNECTOR.read(request)
    assert (asked.bypass, asked.doubts, asked.query_text) == (None, (), "red shoes")
    assert asked.native is request
    assert asked.document is request.body


def rerank_ext(**context: str) -> dict[str, Any]:
    return {"ext": {"rerank": {"query_context": context}}}


def test_explicit_text() -> None:
    """Words that the caller names count alone: beside the request, in its body, or at a place in it that it names."""
    body = {"query": {"bool": {"filter": [SHOES]}}, **rerank_ext(query_text=" hat ")}
    asked = CONNECTOR.read(Request("docs", {"q": "boots"}, body))
    assert (asked.query_text, asked.explicit, asked.doubts) == ("hat", True, ())
    asked = CONNECTOR.read(Request("docs", {}, body, rerank_query="cap"))
    assert (asked.query_text, asked.explicit, asked.doubts) == ("cap", True, ())
    asked = CONNECTOR.read(Request("docs", {}, {**BODY, **rerank_ext(query_text_path="query.match.title")}))
    assert (asked.query_text, asked.explicit) == ("red shoes", True)
    asked = CONNECTOR.read(Request("docs", {}, {**BODY, **rerank_ext(query_text_path="query.nothing.title")}))
    assert (asked.query_text, asked.explicit) == ("red shoes", False)


def test_native_lacks_what_only_rebridge_knows() -> None:
    """The engine gets neither the text for the scorer nor what carried it, and all else as it came."""
    request = Request("docs", {"routing": "a"}, BODY, rerank_query="hat")
    assert CONNECTOR.read(request).native == replace(request, rerank_query=None)
    body = {**BODY, **rerank_ext(query_text="hat"), "size": 5}
    assert CONNECTOR.read(Request("docs", {}, body)).native.body == {**BODY, "size": 5}
    body["ext"] = {**body["ext"], "ltr": {}}
    native = CONNECTOR.read(Request("docs", {}, body)).native
    assert native.body == {**BODY, "size": 5, "ext": {"ltr": {}}}
    assert list(native.body) == list(body)


@pytest.mark.parametrize(("params", "more"), [({"search_pipeline": "p"}, {}), ({}, {"search_pipeline": "p"})])
def test_native_keeps_what_a_search_pipeline_wants(params: dict[str, Any], more: dict[str, Any]) -> None:
    """OpenSearch's own rerank processor gets its text where the request names a pipeline."""
    request = Request("docs", params, {**BODY, **more, **rerank_ext(query_text="hat")})
    asked = CONNECTOR.read(request)
    assert asked.query_text == "hat"
    assert asked.native is request


def test_templates() -> None:
    """A template's own body counts; parameters of the URL that its endpoint ignores do not."""
    template = {"id": "t", "params": {"q": "red shoes"}}
    request = Request("docs", {"size": "0", "sort": "year", "q": "hat", "routing": "a"}, {**BODY, "size": 4}, template)
    asked = CONNECTOR.read(request)
    assert (asked.query_text, asked.size, asked.bypass) == ("red shoes", 4, None)
    assert asked.native is request


def test_templates_with_the_text_for_the_scorer() -> None:
    """What a template renders to is sent where the template itself holds what only rebridge knows."""
    request = Request("docs", {"size": "0"}, {**BODY, **rerank_ext(query_text="hat")}, {"id": "t"})
    asked = CONNECTOR.read(request)
    assert asked.query_text == "hat"
    assert asked.native == Request("docs", {}, BODY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["query", "bool", "must", "match", "terms", "knn", "retriever", "rrf", "sort", "size", "fields", "ext"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["query", "retriever", "knn", "sort", "size", "ext", "sub_searches"]), JSON))
def test_nothing_makes_reading_fail(body: dict[str, Any]) -> None:
    """Whatever a body holds is read; what the engine would refuse is the engine's to say."""
    asked = CONNECTOR.read(Request("docs", {}, body))
    assert asked.offset >= 0
    assert asked.size >= 0
