"""What is read out of a request for Solr."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConnectorError
from rebridge_solr import CONNECTOR, Defaults, Request

SHOE = {"q": "red shoe", "defType": "edismax"}


def read(params: Any = None, json: Any = None, **more: Any) -> Any:
    return CONNECTOR.read(Request(SHOE if params is None else params, json, **more))


def test_only_its_own_requests() -> None:
    """A request of another kind is refused with a message."""
    with pytest.raises(ConnectorError, match=r"rebridge_solr\.Request, not dict"):
        CONNECTOR.read({"q": "shoe"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "json", "page"),
    [
        ({}, None, (0, 10)),
        ({"start": 3, "rows": "7"}, None, (3, 7)),
        ({"rows": ["7", "9"]}, None, (0, 7)),
        ({"rows": "+7"}, None, (0, 7)),
        ({"rows": b"7"}, None, (0, 7)),
        ({"rows": 7}, {"limit": 5}, (0, 5)),
        ({}, {"limit": "5", "offset": 2}, (2, 5)),
        ({"json.limit": "4", "json.offset": 6}, {"limit": 5}, (6, 4)),
        ({"json.limit": ["4", "3"]}, None, (0, 3)),
        ({"rows": 2}, {"params": {"rows": 5, "start": 1}}, (1, 2)),
        ({"json": '{"limit": 5}'}, None, (0, 5)),
        ({"json": ['{"limit": 5}', '{"limit": 6}']}, None, (0, 6)),
    ],
)
def test_page(params: Any, json: Any, page: tuple[int, int]) -> None:
    """The page is the one that counts for Solr when parameters and body disagree."""
    asked = read({**SHOE, **params}, json)
    assert (asked.offset, asked.size) == page
    assert asked.bypass is None


@pytest.mark.parametrize(
    ("params", "bypass"),
    [
        ({"rows": "x"}, "invalid_page"),
        ({"rows": -1}, "invalid_page"),
        ({"rows": ""}, "invalid_page"),
        ({"rows": 2.0}, "invalid_page"),
        ({"rows": " 2"}, "invalid_page"),
        ({"rows": 2**31}, "invalid_page"),
        ({"start": "-1"}, "invalid_page"),
        ({"json": '{"limit": 2.5}'}, "invalid_page"),
        ({"rows": 0}, "size_0"),
        ({"sort": "price asc"}, "own_sort"),
        ({"sort": "sum(price,1) desc, score desc"}, "own_sort"),
        ({"sort": "score asc"}, "own_sort"),
        ({"json": '{"sort": "price asc"}'}, "own_sort"),
        ({"cursorMark": "*", "sort": "id asc"}, "cursor"),
        ({"group": "true", "group.field": "a"}, "grouped"),
        ({"group": True}, "grouped"),
        ({"wt": "xml"}, "format"),
        ({"wt": "javabin"}, "format"),
        ({"json.wrf": "callback"}, "format"),
        ({"fl": "score:price"}, "renamed_score"),
        ({"json": "{query: shoe"}, "unreadable_body"),
        ({"json.limit": "many"}, "unreadable_body"),
        ({"q": "{!mlt qf=text}d1", "defType": "lucene"}, "more_like_this"),
        ({"json": '{"query": {"mlt": {"query": "d1"}}}'}, "more_like_this"),
        ({"qt": "/mlt"}, "more_like_this"),
        ({"qt": "terms"}, "not_a_search"),
    ],
)
def test_bypassed(params: Any, bypass: str) -> None:
    """Requests whose order is not by relevance, or whose reply is no list of hits, are left alone."""
    assert read({**SHOE, **params}).bypass == bypass


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "score desc"},
        {"sort": " Score  DESC"},
        {"sort": ""},
        {"sort": ["score desc", "price asc"]},
        {"group": "false", "wt": "json", "qt": "/products"},
        {"fq": "{!collapse field=brand}", "expand": "true"},
        {"facet": "true", "facet.field": "brand", "stats": "true", "hl": "on", "mlt": "true", "spellcheck": "true"},
        {"rq": "{!rerank reRankQuery=$x}"},
        {"json.facet": "{x: {type: terms, field: a}}", "json.nl": "map"},
    ],
)
def test_not_bypassed(params: Any) -> None:
    """Everything else about a request leaves it to be reranked."""
    asked = read({**SHOE, **params})
    assert asked.bypass is None
    assert asked.doubts == ()


@pytest.mark.parametrize("handler", ["mlt", "/mlt", "terms", "export", "get", "admin/ping", "update"])
def test_handlers_that_do_not_search(handler: str) -> None:
    """Solr's own handlers for other things are left alone."""
    assert read(handler=handler).bypass in {"more_like_this", "not_a_search"}


def test_tie_breakers_are_doubtful() -> None:
    """A second sort key is a doubt, for the pipeline to decide."""
    assert read({**SHOE, "sort": "score desc, price asc"}).doubts == ("tie_breaker",)


def test_defaults_count() -> None:
    """What a handler does by itself counts where a request says nothing."""
    defaults = Defaults({"rows": ("30",), "sort": ("price asc",), "group": ("true",)})
    assert read(defaults=defaults).bypass == "grouped"
    assert read({**SHOE, "group": "false"}, defaults=defaults).bypass == "own_sort"
    asked = read({**SHOE, "group": "false", "sort": "score desc"}, defaults=defaults)
    assert (asked.bypass, asked.size) == (None, 30)
    assert read({}, defaults=Defaults({"q": ("shoe",)})).query_text == "shoe"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"rq.text": "warm boots"}, "warm boots"),
        ({"rq": "{!rebridge text='warm boots'}"}, "warm boots"),
        ({"rq": '{!rebridge text="warm \\"boots\\""}'}, 'warm "boots"'),
        ({"rq": "{!rebridge text=$words}", "words": "warm boots"}, "warm boots"),
        ({"rq": "{!rebridge}warm boots"}, "warm boots"),
        ({"rq": ["{!rerank reRankQuery=$x}", "{!rebridge text=boots}"]}, "boots"),
    ],
)
def test_explicit_text(params: Any, text: str) -> None:
    """A request can name the words for the scorer, and Solr sees nothing of it."""
    asked = read({**SHOE, **params})
    assert asked.query_text == text
    assert asked.explicit
    assert "rq.text" not in asked.native.params
    assert "rebridge" not in str(asked.native.params.get("rq"))


def test_explicit_text_of_the_caller() -> None:
    """The caller's own words come first, and go no further."""
    asked = read({**SHOE, "rq.text": "boots"}, rerank_query="sandals")
    assert (asked.query_text, asked.explicit, asked.native.rerank_query) == ("sandals", True, None)
    assert read(json={"params": {"rq.text": "boots", "x": 1}}).native.json == {"params": {"x": 1}}


def test_others_second_stages_stay() -> None:
    """A second stage of Solr's own is part of the first for us, and is sent as it is."""
    rerank = "{!rerank reRankQuery=$x reRankDocs=50}"
    asked = read({**SHOE, "rq": [rerank, "{!rebridge text=boots}"]})
    assert asked.native.params["rq"] == rerank
    same = Request({**SHOE, "rq": rerank})
    assert CONNECTOR.read(same).native is same


def test_document() -> None:
    """A pipeline's own path finds the parameters in force and the body."""
    asked = read(
        {"q": "a", "fq": ["b", "c"]}, {"query": {"edismax": {"query": "shoe"}}}, defaults=Defaults({"df": ("t",)})
    )
    assert asked.document == {
        "params": {"fq": ["b", "c"], "df": "t"},
        "json": {"query": {"edismax": {"query": "shoe"}}},
    }


@given(st.dictionaries(st.sampled_from(["q", "rows", "sort", "fl", "json", "rq", "group", "wt"]), st.text()))
def test_never_fails(params: dict[str, str]) -> None:
    """Whatever stands in a request, it is read, and not changed."""
    before = dict(params)
    CONNECTOR.read(Request(params))
    assert params == before
