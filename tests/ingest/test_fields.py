from __future__ import annotations

import pytest

from rebridge.ingest import infer_fields


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], "boolean"),
        ([1, 2], "integer"),
        ([1, 2.5], "float"),
        ([2**63], "float"),
        ([True, 1], "keyword"),
        (["2024-05-01", "2024-05-01T10:00:00Z"], "date"),
        (["2024-05-01", "2024-13-01"], "keyword"),
        (["de", "en-GB"], "keyword"),
        (["007", 7], "keyword"),
        (["New York"], "text"),
        (["x" * 101], "text"),
        (["a", "b c"], "text"),
        ([["red", "green"], "blue"], "keyword"),
        ([None, "", 3], "integer"),
    ],
)
def test_the_values_decide_the_type(values: list[object], expected: str) -> None:
    """A field gets the narrowest type that holds all its values."""
    assert infer_fields({"f": value} for value in values) == {"f": expected}


def test_names_decide_where_values_cannot() -> None:
    """A title is text even if the sample has single words or dates only, also inside an object."""
    assert infer_fields([{"title": "Dune", "a": {"text": "2024-05-01"}}]) == {"title": "text", "a.text": "text"}


def test_objects_get_dotted_names() -> None:
    """Objects, also in lists, are named by their path; a field without any value is not guessed at."""
    sample = [{"a": {"b": 1, "c": {"d": "x"}}, "n": None, "e": []}, {"l": [{"m": 1.5}, {"m": 2}]}]
    assert infer_fields(sample) == {"a.b": "integer", "a.c.d": "keyword", "l.m": "float"}


def test_numbers_in_tables() -> None:
    """In a table, whole columns of numbers or of true and false are such; codes with leading zeros stay text."""
    rows = [
        {"year": "2020", "price": "3.5", "stock": "TRUE", "code": "007", "mixed": "5", "size": "1"},
        {"year": "1999", "price": "4", "stock": "false", "code": "12", "mixed": "x", "size": "2.5"},
    ]
    expected = {
        "year": "integer",
        "price": "float",
        "stock": "boolean",
        "code": "keyword",
        "mixed": "keyword",
        "size": "float",
    }
    assert infer_fields(rows, numbers_are_text=True) == expected
    assert set(infer_fields(rows).values()) == {"keyword"}
