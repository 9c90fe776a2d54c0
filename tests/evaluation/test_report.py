"""The HTML report as text; `test_report_in_a_browser` looks at it as a reader does."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("matplotlib", reason="reports have pictures: pip install 'rebridge[eval]'")
pytest.importorskip("jinja2", reason="reports are written with Jinja2: pip install 'rebridge[eval]'")

from rebridge.errors import MissingExtra
from rebridge.evaluation.model import Result, Times
from rebridge.evaluation.report import ScoreSample, render, write_report

from .html_page import Page
from .report_data import HOSTILE, complete

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_from_outside() -> None:
    """The page has no scripts, names no resource outside itself, and forbids the browser to load any."""
    Page(render(complete())).check_that_it_needs_nothing()


def test_text_stays_text() -> None:
    """Markup in titles, queries, documents, findings and manifests is shown as it was written."""
    page = render(complete())
    assert "<script" not in page
    assert "<img" not in page
    assert Page(page).text.count(" ".join(HOSTILE.split())) >= 5


def test_ids_are_unique() -> None:
    """Names inside pictures are unique on the page, and every reference has its target."""
    Page(render(complete())).check_references()


def test_figures_are_there() -> None:
    """Means, differences with interval, p, wins, times, findings, warnings and the manifest are all on the page."""
    text = Page(render(complete())).text
    for shown in (
        "20 judged queries of toys",
        "+0.100",
        "+0.050 to +0.150",
        "< 0.001",
        "-0.200 to -0.010",
        "7 9 4",
        "1,234 queries without judgements, left out q98",
        "w0.6 n100 was degraded.",
        "versions.torch 2.9",
        "windows 50, 100",
        "d1 · grade 2 · first stage 7 · model 3.500",
        "d2 · not judged",
        "7 gained, 2 lost, 11 stayed",
        "Queries that lost most",
    ):
        assert shown in text
    assert "5 w0.6 n100 100 0.535 0.500" in text
    assert "5 w0.6 n100 46 50 50 10" in text


def test_pictures() -> None:
    """There is a picture each of differences, windows, latency and scores, with a description in words."""
    found = Page(render(complete()))
    assert found.names.count("svg") == 4
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert len(labels) == 4
    assert all(len(label) > 40 for label in labels)
    assert "fusion.weight=0.4" in found.text
    assert "No other variant is both faster and better than 1, 2, 4, 5." in found.text


def test_scores_that_tell_nothing_apart() -> None:
    """The share of pairs in the right order counts ties half: equal scores give 50%."""
    same = replace(complete(), scores=(ScoreSample("flat", (1.0, 1.0), (1.0,)),))
    assert "in 50% of all pairs" in Page(render(same)).text


def test_missing_data_leaves_a_sentence() -> None:
    """A picture whose data is missing is left out, and a sentence says why."""
    data = complete()
    first, subject = data.results[0], data.results[-1]
    same = Result(subject.variant, first.values, Times())
    bare = replace(
        data,
        variants=(data.variants[0], data.variants[-1]),
        results=(replace(first, times=Times()), same),
        scores=(ScoreSample("tiny-model", (), (1.0,)),),
        comparisons=(),
        examples=(),
        warnings=(),
    )
    found = Page(render(bare))
    assert "svg" not in found.names
    for sentence in (
        "nDCG@10 is the same for every query",
        "no two variants differ in their rank window alone",
        "the time of fewer than two variants was measured",
        "the model scored no relevant hits",
        "Times were not measured",
    ):
        assert sentence in found.text


def test_not_applied_is_told() -> None:
    """A variant that did not rerank some queries is marked with the number and the reason."""
    data = complete()
    odd = replace(data.results[-1], not_applied={"deadline": 3, "scorer_failed": 1})
    text = Page(render(replace(data, results=(*data.results[:-1], odd)))).text
    assert "w0.6 n100 did not rerank all queries: 3 deadline, 1 scorer_failed." in text


def test_same_data_same_file(tmp_path: Path) -> None:
    """The same evaluation gives the same file, whatever was drawn before."""
    write_report(tmp_path / "a.html", complete())
    write_report(tmp_path / "new" / "b.html", complete())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "new" / "b.html").read_bytes()


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    """A report that cannot be written leaves the older one and nothing half-written."""
    target = tmp_path / "r.html"
    target.mkdir()
    with pytest.raises(OSError, match=r"r\.html"):
        write_report(target, complete())
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_settings_of_matplotlib_stay() -> None:
    """Drawing changes none of matplotlib's settings and opens no figure that stays."""
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    render(complete())
    assert dict(mpl.rcParams) == before


def test_results_in_another_order_are_refused() -> None:
    """Results that do not stand in the order of the variants would be shown under wrong names."""
    data = complete()
    with pytest.raises(ValueError, match="order"):
        render(replace(data, results=data.results[::-1]))


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_missing_library(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a library the error names the extra that brings it, and no file is left."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"rebridge\[eval\]"):
        write_report(tmp_path / "r.html", complete())
    assert not list(tmp_path.iterdir())
