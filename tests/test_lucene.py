"""Finding words inside Lucene's syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.lucene import lucene_text, simple_text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("red shoes", "red shoes"),
        ("title:red +shoes", "red shoes"),
        ('title:"red shoes"~2^3', "red shoes"),
        ("red AND (shoes OR boots) NOT leather", "red shoes boots"),
        ("red -(cheap old) shoes", "red shoes"),
        ("shoes && !leather || boots", "shoes boots"),
        ("year:[2000 TO 2010] shoes", "shoes"),
        ("price:{* TO 10} age:>=5 shoes", "shoes"),
        ("name:/joh?n(ath[oa]n)/ shoes", "shoes"),
        ("sho* bo?ts roam~1", "sho bo?ts roam"),
        (r"C\+\+ \(new\)", "C++ (new)"),
        ("state-of-the-art e-mail", "state-of-the-art e-mail"),
        ("author.name:Ann _exists_:title", "Ann title"),
        ("https://example.org/a", "//example.org/a"),
        ("", ""),
        ("((((", ""),
    ],
)
def test_lucene_syntax(query: str, text: str) -> None:
    """Fields, operators, ranges, boosts and excluded terms are left out; words and phrases stay."""
    assert lucene_text(query) == text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("red + shoes | boots", "red shoes boots"),
        ('"red shoes"~2 -leather sho*', "red shoes sho"),
        ("red -(old cheap) well-made", "red well-made"),
        ('-"not this" but that', "but that"),
    ],
)
def test_simple_syntax(query: str, text: str) -> None:
    """Operators and excluded terms are left out."""
    assert simple_text(query) == text


@given(st.text())
def test_any_text_will_do(query: str) -> None:
    """Whatever users type, words come out and nothing fails."""
    lucene_text(query)
    simple_text(query)


@given(
    st.lists(
        st.text(alphabet="abcdefghij", min_size=1, max_size=8).filter(lambda word: word not in {"and", "or"}),
        min_size=1,
    )
)
def test_plain_words_stay(words: list[str]) -> None:
    """A query without syntax is its own text."""
    assert lucene_text(" ".join(words)) == simple_text(" ".join(words)) == " ".join(words)
