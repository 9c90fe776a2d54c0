"""Several evaluations on one page, as text; the browser's tests look at it as a reader does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="reports have pictures: pip install 'rebridge[eval]'")
pytest.importorskip("jinja2", reason="reports are written with Jinja2: pip install 'rebridge[eval]'")

from rebridge.evaluation.overview import gains, render_overview, write_overview

from .html_page import Page
from .report_data import HOSTILE, collections


@pytest.fixture(scope="module")
def page() -> str:
    """The page of two collections behind two engines."""
    return render_overview("All of them", collections())


def test_table(page: str) -> None:
    """Each row has a collection's and an engine's figures, with p corrected for all rows of the table."""
    found = gains(collections())
    assert [(gain.collection, gain.engine) for gain in found] == [
        ("books", "Engine 1"),
        ("books", HOSTILE),
        ("toys", "Engine 1"),
        ("toys", HOSTILE),
    ]
    assert [gain.comparison.p_adjusted for gain in found] == pytest.approx([0.0008, 0.06, 0.06, 0.5])
    text = Page(page).text
    assert "books Engine 1 20 0.475 0.490 0.535 +0.100 +0.050 to +0.150 < 0.001 7 / 9 / 4 0.500" in text


def test_needs_nothing(page: str) -> None:
    """The page needs nothing from outside; hostile text stays text."""
    Page(page).check_that_it_needs_nothing()
    assert "<script" not in page


def test_references(page: str) -> None:
    """Pictures of different evaluations share no names, and each row leads to its own evaluation."""
    found = Page(page)
    found.check_references()
    links = [value for name, value in found.attributes if name == "href" and value.startswith("#evaluation")]
    assert links == ["#evaluation1", "#evaluation2", "#evaluation3", "#evaluation4"]


def test_parts(page: str) -> None:
    """Every evaluation has its tables, pictures, queries, and how its figures came about."""
    found = Page(page)
    for heading in ("Variants", "Pictures", "Queries that gained most", "How these figures came about"):
        assert found.text.count(heading) == 4
    assert found.names.count("svg") == 1 + 4 * 3


def test_invalid() -> None:
    """A row whose searches were answered in first-stage order says so, and so does the top of the page."""
    first, *others = collections()
    odd = replace(first, warnings=("fused was degraded.",))
    text = Page(render_overview("All of them", [odd, *others])).text
    assert text.count("(INVALID)") == 1
    assert f"{odd.title}: fused was degraded." in text


def test_same_data_same_file(page: str, tmp_path: Path) -> None:
    """The same evaluations give the same file."""
    write_overview(tmp_path / "all.html", "All of them", collections())
    assert (tmp_path / "all.html").read_text(encoding="utf-8") == page
