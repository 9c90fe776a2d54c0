"""The requests that go to Elasticsearch and OpenSearch for the rank window."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rebridge_elasticsearch
import rebridge_opensearch
from rebridge.models import PagePlan
from rebridge_query_dsl.pinning import most_hits
from rebridge_query_dsl.request import Request

ELASTICSEARCH, OPENSEARCH = rebridge_elasticsearch.CONNECTOR, rebridge_opensearch.CONNECTOR
BODY: dict[str, Any] = {"query": {"match": {"title": "shoes"}}}
KNN: dict[str, Any] = {"field": "v", "query_vector": [1]}


def widen(
    body: Mapping[str, Any] | None, params: Mapping[str, Any] | None = None, fields: tuple[str, ...] = ()
) -> Request:
    """The request of a page for a rank window of 100, on Elasticsearch."""
    request = Request("docs", params or {}, body)
    before = copy.deepcopy(request)
    asked = ELASTICSEARCH.read(request)
    wide = ELASTICSEARCH.widen(request, PagePlan(asked.offset, asked.size, 100, 0, 100, fields))
    assert request == before
    return wide


def test_slice_in_the_body() -> None:
    """The slice goes into the body; what the URL said of it, which would beat it, goes away."""
    wide = widen({**BODY, "size": 5}, {"from": "3", "size": "4", "routing": "a"})
    assert wide == Request("docs", {"routing": "a"}, {**BODY, "size": 100, "from": 0})


def test_slice_in_the_url() -> None:
    """A search by `q` without a body stays one."""
    assert widen(None, {"q": "shoes", "size": "4"}) == Request("docs", {"q": "shoes", "from": 0, "size": 100})


def test_nothing_to_change() -> None:
    """A request that asks for the slice already stays as it is."""
    request = Request("docs", {"size": "7"}, {**BODY, "from": "3"})
    wide = OPENSEARCH.widen(request, PagePlan(3, 7, 3, 3, 7, ("title",)))
    assert wide == request
    assert wide.body is request.body
    assert wide.params is request.params


def test_filter_path_is_applied_later() -> None:
    """The reply comes whole, whatever the user wants of it."""
    assert widen(BODY, {"filter_path": "took", "routing": "a"}).params == {"routing": "a"}


def test_template_becomes_a_search() -> None:
    """What a template renders to is searched, without parameters that its endpoint ignores."""
    request = Request("docs", {"size": "3", "_source": "false", "routing": "a"}, BODY, {"id": "t"})
    wide = OPENSEARCH.widen(request, PagePlan(0, 10, 50, 0, 50, ("title",)))
    assert wide == Request("docs", {"routing": "a"}, {**BODY, "from": 0, "size": 50})


WHOLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"_source": True}, {}),
    ({"_source": []}, {}),
    ({"_source": {"excludes": []}}, {}),
    ({"_source": {"exclude_vectors": False}}, {}),
    ({"_source": False}, {"_source": "true"}),
    ({"_source": True, "stored_fields": ["a"], "script_fields": {"b": {}}}, {}),
    ({"fields": ["a"], "docvalue_fields": ["b"]}, {}),
]


@pytest.mark.parametrize(("more", "params"), WHOLE)
def test_whole_source_is_enough(more: dict[str, Any], params: dict[str, Any]) -> None:
    """Where the hits carry their documents whole, no fields are asked for."""
    assert widen({**BODY, **more}, params, ("title",)).body == {**BODY, **more, "from": 0, "size": 100}


PARTIAL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"_source": False}, {}),
    ({"_source": "b*"}, {}),
    ({"_source": ["*"]}, {}),
    ({"_source": {"excludes": ["text"]}}, {}),
    ({"stored_fields": ["a"]}, {}),
    ({"stored_fields": []}, {}),
    ({"script_fields": {"b": {}}}, {}),
    ({}, {"_source": False}),
    ({}, {"_source": "brand"}),
    ({"_source": True}, {"_source_includes": "brand"}),
    ({}, {"_source_excludes": "text"}),
    ({}, {"stored_fields": "a"}),
]


@pytest.mark.parametrize(("more", "params"), PARTIAL)
def test_fields_beside_a_partial_source(more: dict[str, Any], params: dict[str, Any]) -> None:
    """Else the fields are asked for beside the user's own choice, which stays as it is."""
    wide = widen({**BODY, **more}, params, ("title", "text"))
    assert wide.body is not None
    assert wide.body["fields"] == [{"field": name, "include_unmapped": True} for name in ("title", "text")]
    assert {key: value for key, value in wide.body.items() if key in more} == more
    assert wide.params == params


def test_fields_without_a_body() -> None:
    """A search by `q` that leaves out the source gets a body for the fields."""
    wide = widen(None, {"q": "shoes", "_source": "false"}, ("title",))
    assert wide.params == {"q": "shoes", "_source": "false", "from": 0, "size": 100}
    assert wide.body == {"fields": [{"field": "title", "include_unmapped": True}]}


def test_opensearch_does_not_know_unmapped_fields() -> None:
    """OpenSearch refuses `include_unmapped`, and gets names alone."""
    request = Request("docs", {}, {**BODY, "_source": False})
    wide = OPENSEARCH.widen(request, PagePlan(0, 10, 100, 0, 100, ("title",)))
    assert wide.body == {**request.body, "from": 0, "size": 100, "fields": ["title"]}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "more",
    [
        {"fields": ["title"]},
        {"fields": [{"field": "ti*", "format": "x"}]},
        {"docvalue_fields": ["title"]},
        {"stored_fields": "title"},
        {"script_fields": {"title": {}}},
        {"collapse": {"field": "title"}},
    ],
)
def test_fields_that_the_user_asks_for(more: dict[str, Any]) -> None:
    """A field that comes anyway is not asked for twice, since the user's own way might differ."""
    wide = widen({**BODY, "_source": False, **more}, {}, ("title", "text"))
    assert wide.body is not None
    own = more.get("fields", [])
    assert wide.body["fields"] == [*own, {"field": "text", "include_unmapped": True}]


@pytest.mark.parametrize(
    ("knn", "more", "params", "k"),
    [
        (KNN, {}, {}, 10),
        (KNN, {"size": "3"}, {"size": "5"}, 3),
        (KNN, {}, {"size": "5"}, 10),
        ({**KNN, "k": 2}, {"size": 3}, {}, 2),
    ],
)
def test_knn_section(knn: dict[str, Any], more: dict[str, Any], params: dict[str, Any], k: int) -> None:
    """The `knn` section keeps the k that it takes from the size in the body."""
    wide = widen({**BODY, "knn": knn, **more}, params)
    assert wide.body is not None
    assert wide.body["knn"] == {**knn, "k": k}
    wide = widen({**BODY, "knn": [knn, knn], **more}, params)
    assert wide.body is not None
    assert wide.body["knn"] == [{**knn, "k": k}] * 2


@pytest.mark.parametrize(
    ("knn", "params", "pinned"),
    [
        (KNN, {}, {**KNN, "k": 4}),
        (KNN, {"size": "6"}, {**KNN, "k": 6}),
        ({**KNN, "num_candidates": 3}, {}, {**KNN, "num_candidates": 3, "k": 3}),
        ({**KNN, "k": 2}, {}, {**KNN, "k": 2}),
        ({"v": {"vector": [1], "k": 3}}, {}, {"v": {"vector": [1], "k": 3}}),
    ],
)
def test_knn_query(knn: dict[str, Any], params: dict[str, Any], pinned: dict[str, Any]) -> None:
    """The `knn` query keeps the k that it takes from the page's size; OpenSearch's has another shape."""
    for query, place in (
        (lambda clause: {"query": {"bool": {"should": [clause]}}}, ("query", "bool", "should", 0)),
        (lambda clause: {"retriever": {"standard": {"query": clause}}}, ("retriever", "standard", "query")),
    ):
        found: Any = widen({**query({"knn": knn}), "size": 4}, params).body
        for key in place:
            found = found[key]
        assert found == {"knn": pinned}


def test_knn_retriever() -> None:
    """A `knn` retriever must name its k itself, so none is made up."""
    retriever = {"rrf": {"retrievers": [{"knn": KNN}], "rank_window_size": 100}}
    wide = widen({"retriever": retriever})
    assert wide.body == {"retriever": retriever, "from": 0, "size": 100}


RESCORE: dict[str, Any] = {"query": {"rescore_query": {"match_all": {}}}}
STANDARD: dict[str, Any] = {"standard": BODY}


@pytest.mark.parametrize(
    ("retriever", "size"),
    [
        (STANDARD, 100),
        ({"knn": {**KNN, "k": 3, "num_candidates": 9}}, 100),
        ({"rescorer": {"rescore": {**RESCORE, "window_size": 15}, "retriever": STANDARD}}, 15),
        ({"rescorer": {"rescore": [{**RESCORE, "window_size": 15}, RESCORE], "retriever": STANDARD}}, 10),
        ({"rescorer": {"rescore": {**RESCORE, "window_size": 500}, "retriever": STANDARD}}, 100),
        ({"rescorer": {"rescore": {**RESCORE, "window_size": 3}, "retriever": STANDARD}}, 100),
        ({"rrf": {"retrievers": [STANDARD]}}, 10),
        ({"linear": {"retrievers": [STANDARD], "rank_window_size": 40}}, 40),
    ],
)
def test_retrievers_with_a_limit(retriever: dict[str, Any], size: int) -> None:
    """A retriever that refuses more hits than it ranks is asked for as many; a page above that fails as ever."""
    wide = widen({"retriever": retriever, "size": 5})
    assert wide.body is not None
    assert wide.body["size"] == size


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["knn", "field", "query", "standard", "rescorer", "title"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["query", "retriever", "knn", "_source", "fields", "stored_fields"]), JSON))
def test_nothing_makes_widening_fail(body: dict[str, Any]) -> None:
    """Whatever a body holds, the slice is asked for and nothing of the user's is changed."""
    wide = widen(body, {}, ("title",))
    asked = ELASTICSEARCH.read(wide)
    assert asked.offset == 0
    assert asked.size == (100 if most_hits(body) is None else 10)
    assert set(wide.body or {}) - set(body) <= {"from", "size", "fields"}
