"""Documents become passages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.passages import PassageTemplate
from rebridge.steps import Windows

DOCUMENT = {
    "title": "Red shoes",
    "text": " Soft leather.\n",
    "price": 12.5,
    "sale": True,
    "tags": ["red", "shoe"],
    "author": {"name": "Ann", "city.name": "Bath"},
    "offers": [{"shop": "A"}, {"shop": "B", "city": {"name": "York"}}],
    "a.b": "dotted key",
    "dc:title": "with a colon",
    "none": None,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{title}\n{text}", "Red shoes\nSoft leather."),
        ("{title}: {price} ({sale})", "Red shoes: 12.5 (true)"),
        ("{tags}", "red\nshoe"),
        ("{author.name} of {author.city.name}", "Ann of Bath"),
        ("{offers.shop}", "A\nB"),
        ("{offers.city.name}", "York"),
        ("{a.b}", "dotted key"),
        ("{dc:title}", "with a colon"),
        ("{author}", "Ann\nBath"),
        ("{title}\nby {missing}\n{text}", "Red shoes\nSoft leather."),
        ("{title} {missing}", "Red shoes"),
        ("{{{title}}}", "{Red shoes}"),
        ("shop\n{missing}", ""),
        ("{none}", ""),
    ],
)
def test_templates(template: str, expected: str) -> None:
    """Fields are filled in; lines whose fields are all missing are left out; no field at all means no passage."""
    passage = PassageTemplate(template).build(DOCUMENT)
    assert passage.text == expected
    assert passage.flags == (() if expected else ("no_passage",))


def test_fields() -> None:
    """A template knows its fields, each once, so that the engine can be asked for them."""
    assert PassageTemplate("{title} {a.b}\n{title}").fields == ("title", "a.b")


def test_html_is_removed_on_request() -> None:
    """Markup, scripts and entities are resolved when asked for, and kept otherwise."""
    document = {"text": "<p>Fish &amp; <b>chips</b></p><script>x()</script> 1 < 2"}
    assert PassageTemplate("{text}", strip_html=True).build(document).text == "Fish & chips 1 < 2"
    assert PassageTemplate("{text}").build(document).text == document["text"]


@pytest.mark.parametrize("template", ["no field", "{", "{title", "{}", "{0!r}", "{ }"])
def test_bad_templates(template: str) -> None:
    """A template that cannot be filled is refused when it is made."""
    with pytest.raises(ValueError, match="template"):
        PassageTemplate(template)


def test_templates_reach_no_attributes() -> None:
    """A template reads document fields and nothing of Python's."""
    assert PassageTemplate("{title.__class__}{x}").build({"title": "t", "x": "y"}).text == "y"


def test_broken_characters() -> None:
    """A lone surrogate is replaced and flagged."""
    passage = PassageTemplate("{text}").build({"text": "a\ud800b"})
    assert (passage.text, passage.flags) == ("a?b", ("replaced_characters",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(st.sampled_from(["a", "a.b", "b", "c"]), JSON), strip=st.booleans())
def test_never_fails(document: dict[str, Any], strip: bool) -> None:  # noqa: FBT001 - hypothesis fills it
    """Whatever a document holds, there is a passage that can be encoded, or a flag."""
    passage = PassageTemplate("{a.b} {b}\n{c}", strip_html=strip).build(document)
    passage.text.encode()
    assert bool(passage.text) != ("no_passage" in passage.flags)


def test_endless_nesting() -> None:
    """A document that is nested too deep to follow has no passage."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert PassageTemplate("{text}").build({"text": deep}).flags == ("no_passage",)


def test_windows() -> None:
    """Window scores are pooled to the best, or to the mean of the best k; windows with gaps are refused."""
    assert Windows().pooled([0.1, 0.9, 0.5]) == 0.9
    assert Windows(pool="top_k_mean", top_k=2).pooled([0.1, 0.9, 0.5]) == pytest.approx(0.7)
    assert Windows(pool="top_k_mean", top_k=5).pooled([0.1]) == 0.1
    with pytest.raises(ValueError, match="lost"):
        Windows(size=100, stride=101)
