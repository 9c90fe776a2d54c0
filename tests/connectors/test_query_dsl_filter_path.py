"""Filtering replies on our side, by the rules of the engines; the integration tests compare both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge_query_dsl.filter_path import filtered

REPLY: dict[str, Any] = {
    "took": 3,
    "hits": {
        "total": {"value": 2},
        "max_score": None,
        "hits": [
            {"_id": "1", "_source": {"title": "a", "author": {"name": ["Ann", "Bob"], "born": 1}, "a.b": 1}},
            {"_id": "2", "_source": {"title": "b", "tags": []}},
        ],
    },
    "suggest": {"s": [{"options": []}]},
}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("took", {"took": 3}),
        (" took , hits.total", {"took": 3, "hits": {"total": {"value": 2}}}),
        (["took", "hits.total"], {"took": 3, "hits": {"total": {"value": 2}}}),
        ("hits.hits._id", {"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}),
        ("**.author.*", {"hits": {"hits": [{"_source": {"author": {"name": ["Ann", "Bob"], "born": 1}}}]}}),
        ("**.born", {"hits": {"hits": [{"_source": {"author": {"born": 1}}}]}}),
        ("**.took", {}),
        ("hits.max_score", {"hits": {"max_score": None}}),
        ("hits.hits._source.ti*e", {"hits": {"hits": [{"_source": {"title": "a"}}, {"_source": {"title": "b"}}]}}),
        ("hits.hits._source.a.b", {}),
        (r"hits.hits._source.a\.b", {"hits": {"hits": [{"_source": {"a.b": 1}}]}}),
        ("suggest.s.options", {"suggest": {"s": [{"options": []}]}}),
        ("suggest.s.options.text", {}),
        ("hits.hits.nothing", {}),
        ("took.nothing", {}),
        ("took,-took", {}),
        ("-hits,-suggest", {"took": 3}),
        ("hits.hits._id,-hits.hits._id", {}),
        ("-**.hits.hits,-suggest,-hits.hits", {"took": 3, "hits": {"total": {"value": 2}, "max_score": None}}),
        ("", REPLY),
        ("-", REPLY),
        ([], REPLY),
        ("*", REPLY),
        ("-nothing", REPLY),
    ],
)  # fmt: skip
def test_filtered(patterns: Any, left: Any) -> None:
    """Patterns keep or remove whole branches; what becomes empty goes too; order stays."""
    assert json.dumps(filtered(REPLY, patterns, keep_empty=True)) == json.dumps(left)


def test_empty_parts_when_excluding() -> None:
    """Parts that were empty before stay, or go where a pattern could have reached into them, by the engine's habit."""
    assert filtered(REPLY, "-suggest.s.x", keep_empty=True) == REPLY
    assert filtered(REPLY, "-suggest.**.x", keep_empty=False) == {key: REPLY[key] for key in ("took", "hits")}


VALUES = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=15,
)
REPLIES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
PATTERN = st.lists(st.sampled_from(["a", "b", "c", "*", "**", "a*"]), min_size=1, max_size=4).map(".".join)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a reply that hold nothing else, with the keys that lead to them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


@given(REPLIES, st.lists(PATTERN, min_size=1, max_size=3), st.booleans())
def test_kept_and_removed_are_the_whole(reply: dict[str, Any], patterns: list[str], keep_empty: bool) -> None:  # noqa: FBT001 - hypothesis fills it
    """Each value is either among those that patterns keep or among those that the same patterns leave, never both."""
    kept = list(leaves(filtered(reply, patterns, keep_empty=keep_empty)))
    removed = list(leaves(filtered(reply, [f"-{pattern}" for pattern in patterns], keep_empty=keep_empty)))
    assert sorted(kept + removed, key=repr) == sorted(leaves(reply), key=repr)


@given(REPLIES, st.lists(PATTERN, max_size=2), st.lists(PATTERN, max_size=2))
def test_filtering_twice(reply: dict[str, Any], includes: list[str], excludes: list[str]) -> None:
    """What was filtered stays as it is when it is filtered again."""
    patterns = [*includes, *(f"-{pattern}" for pattern in excludes)]
    once = filtered(reply, patterns, keep_empty=True)
    assert filtered(once, patterns, keep_empty=True) == once


@given(REPLIES)
def test_a_path_reaches_its_values(reply: dict[str, Any]) -> None:
    """The path to a value keeps all values with this path and no other."""
    for path, _ in leaves(reply):
        kept = list(leaves(filtered(reply, ".".join(path), keep_empty=False)))
        assert kept
        assert all(found[: len(path)] == path for found, _ in kept)
