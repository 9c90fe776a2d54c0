"""How a request for Solr is widened, and its fields added to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.models import PagePlan
from rebridge_solr import CONNECTOR, Defaults, Request
from rebridge_solr.fields import parse_fl
from rebridge_solr.wire import WindowRefused, checked, on_the_wire

PLAN = PagePlan(4, 2, 30, 0, 30, ("title", "author.name"))
OURS = "_rebridge_id_:id,_rebridge_0_:title,_rebridge_1_:author.name,_rebridge_score_:score"


def wide(params: Any, json: Any = None, plan: PagePlan = PLAN, **more: Any) -> Any:
    request = Request(params, json, **more)
    return on_the_wire(CONNECTOR.widen(request, plan)).params


@pytest.mark.parametrize(
    ("values", "names", "globs", "aliases"),
    [
        (["a,b c"], {"a", "b", "c"}, (), {}),
        (["a , b", "c"], {"a", "b", "c"}, (), {}),
        ([""], set(), ("*",), {}),
        ([], set(), ("*",), {}),
        ([","], set(), (), {}),
        (["*,score"], {"score"}, ("*",), {}),
        (["a_*,b?"], set(), ("a_*", "b?"), {}),
        (["x:a,rel:score"], set(), (), {"x": "a", "rel": "score"}),
        (["x:sum(a, b),y:[value v='1, 2' t=int]"], set(), (), {"x": "sum(a, b)", "y": "[value v='1, 2' t=int]"}),
        (["id,[child limit=3 fl=a,b]", "[docid]"], {"id"}, (), {}),
        (["sum(a,b)"], {"sum(a,b)"}, (), {}),
        (["author.name a-b"], {"author.name", "a-b"}, (), {}),
        (["x:concat('(', a)"], set(), (), {"x": "concat('(', a)"}),
    ],
)
def test_field_lists(values: list[str], names: set[str], globs: tuple[str, ...], aliases: dict[str, str]) -> None:
    """All forms of ``fl`` are understood: commas and spaces, repeated, patterns, aliases, functions, transformers."""
    found = parse_fl(values)
    assert (found.names, found.globs, found.aliases) == (names, globs, aliases)


@given(st.lists(st.text(alphabet="ab*:,([)]'\" score", max_size=20), max_size=3))
def test_field_lists_never_fail(values: list[str]) -> None:
    """Whatever stands in ``fl``, it is read, and nothing empty comes out."""
    assert "" not in parse_fl(values).names


@pytest.mark.parametrize(
    ("params", "json", "expected"),
    [
        ({"q": "a"}, None, {"start": 0, "rows": 30}),
        ({"q": "a", "rows": ["2", "5"], "start": 4}, None, {"start": 0, "rows": 30}),
        ({"rows": 2}, {"query": "a"}, {"start": 0, "rows": 30}),
        ({}, {"query": "a", "limit": 2, "offset": 4}, {"json.offset": 0, "json.limit": 30}),
        ({"json": '{"limit": 2}', "start": 4}, None, {"start": 0, "json.limit": 30}),
        ({"json.limit": ["3", "2"]}, None, {"start": 0, "json.limit": 30}),
    ],
)
def test_slices(params: Any, json: Any, expected: dict[str, int]) -> None:
    """The planned slice is asked for where the request's own page counts, and the body stays as it was."""
    found = wide(params, json)
    assert {name: value for name, value in found.items() if name != "fl"} == {**params, **expected}
    request = CONNECTOR.widen(Request(params, json), PLAN)
    assert on_the_wire(request).json is json


def test_the_largest_window() -> None:
    """A slice never goes beyond what Solr can count."""
    plan = PagePlan(2**31 - 2, 100, 30, 2**31 - 2, 100, ("title",))
    assert wide({"q": "a"}, plan=plan)["rows"] == 1


@pytest.mark.parametrize(
    ("fl", "expected"),
    [
        (None, ["*", "id,_rebridge_id_:id,_rebridge_score_:score"]),
        ("", ["*", "id,_rebridge_id_:id,_rebridge_score_:score"]),
        ("price", ["price", OURS]),
        (["price,x", "y"], ["price,x", "y", OURS]),
        ("title", ["title", "_rebridge_id_:id,_rebridge_1_:author.name,_rebridge_score_:score"]),
        ("*,score", ["*,score", "id,_rebridge_id_:id,_rebridge_score_:score"]),
        # An alias beside a pattern hides the field, so what a pattern shows is named and what it hides is not.
        ("*,x:title", ["*,x:title", "id,_rebridge_id_:id,_rebridge_0_:title,_rebridge_score_:score"]),
        ("*,x:id", ["*,x:id", "_rebridge_id_:id,_rebridge_score_:score"]),
        ("ti*", ["ti*", "_rebridge_id_:id,_rebridge_1_:author.name,_rebridge_score_:score"]),
        ("title:text", ["title:text", OURS]),
    ],
)
def test_added_fields(fl: Any, expected: list[str]) -> None:
    """Id, score and passage fields are asked for under names of ours, unless they are shown anyway."""
    params = {"q": "a"} if fl is None else {"q": "a", "fl": fl}
    assert wide(params)["fl"] == expected


def test_added_fields_of_bodies() -> None:
    """Solr adds the body's fields to the parameter, so only ours are added there."""
    assert wide({}, {"query": "a", "fields": ["price"]})["fl"] == [OURS]
    assert wide({"fl": "x"}, {"query": "a", "fields": "price"})["fl"] == ["x", OURS]
    assert wide({}, {"query": "a", "params": {"fl": "x"}})["fl"] == ["x", OURS]
    assert wide({}, {"query": "a", "fields": []})["fl"][0] != "*"


def test_added_fields_of_handlers() -> None:
    """What a handler shows by itself is asked for again, since a parameter replaces it."""
    defaults = Defaults({"fl": ("price", "x")}, unique_key="sku")
    ours = OURS.replace(":id", ":sku")
    assert wide({"q": "a"}, defaults=defaults)["fl"] == ["price", "x", ours]
    assert wide({"q": "a", "fl": "y"}, defaults=defaults)["fl"] == ["y", ours]
    assert wide({}, {"query": "a", "fields": "y"}, defaults=defaults)["fl"] == ["price", "x", ours]


def test_groups() -> None:
    """The field by which hits are collapsed is asked for, since expanded hits are named after it."""
    for params in (
        {"fq": ["a:b", "{!collapse field=brand}"], "expand": "true"},
        {"fq": "{!collapse field=$by}", "by": "brand", "expand": "on"},
        {"expand.field": "brand", "expand": "true"},
    ):
        assert "_rebridge_group_:brand" in wide({"q": "a", "fl": "x", **params})["fl"][-1]
    assert "_group_" not in wide({"q": "a", "fq": "{!collapse field=brand}"})["fl"][-1]


def test_a_request_without_a_plan_is_sent_as_it_is() -> None:
    """Bypassed requests keep their very parameters and body."""
    request = Request({"q": "a"}, {"limit": 3})
    assert on_the_wire(request).params is request.params
    assert on_the_wire(request).json is request.json


@pytest.mark.parametrize(
    ("response", "refused"),
    [
        ({"numFound": 50, "docs": [{"_rebridge_id_": "a", "_rebridge_score_": 1.0}] * 30}, False),
        ({"numFound": 2, "docs": [{"_rebridge_id_": "a", "_rebridge_score_": 1.0}] * 2}, False),
        ({"numFound": 0, "docs": []}, False),
        ({"numFound": 50, "docs": [{"_rebridge_id_": "a", "_rebridge_score_": 1.0}] * 10}, True),
        ({"numFound": 1, "docs": [{"id": "a", "_rebridge_score_": 1.0}]}, True),
        ({"numFound": 1, "docs": [{"_rebridge_id_": "a"}]}, True),
        ({"numFound": 1, "docs": "none"}, False),
        (None, False),
    ],
)
def test_handlers_that_do_not_follow(*, response: Any, refused: bool) -> None:
    """A handler that fixes rows or fields refuses the window, whatever status it answers."""
    request, reply = CONNECTOR.widen(Request({"q": "a"}), PLAN), {"response": response}
    assert checked(Request({"q": "a"}), reply) is reply
    if not refused:
        assert checked(request, reply) is reply
        return
    with pytest.raises(WindowRefused) as raised:
        checked(request, reply)
    assert CONNECTOR.refusal(raised.value) == "window_refused"
