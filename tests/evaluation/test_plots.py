"""Pictures show the values that they are given."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'rebridge[eval]'")

from rebridge.evaluation import plots
from rebridge.evaluation.plots import Point

POINTS = st.lists(
    st.builds(Point, st.just("1"), st.integers(0, 5).map(float), st.integers(0, 5).map(float), st.just(9.0)), min_size=1
)


@given(POINTS)
def test_front(points: list[Point]) -> None:
    """A point is on the front if no other beats it in one respect without losing in the other."""
    best = plots.front(points)
    as_fast_as = {point: [other for other in best if other.typical_ms <= point.typical_ms] for point in points}
    for point in points:
        assert any(other.value >= point.value for other in as_fast_as[point])
    for one in best:
        for other in points:
            better = other.value > one.value and other.typical_ms <= one.typical_ms
            faster = other.value >= one.value and other.typical_ms < one.typical_ms
            assert not better
            assert not faster


def test_lines_of_windows() -> None:
    """Every series is a line through its points and has its name in the legend, whatever that begins with."""
    with plots.style():
        figure = plots.windows(
            {"_a $x$": [(20, 0.5), (50, 0.6)], "b" * 99: [(20, 0.4), (50, 0.7)]}, "nDCG@10", ("0", 0.3)
        )
        drawn = plots.svg(figure, "w", "windows")
    lines = [list(zip(*map(list, line.get_data()), strict=True)) for line in figure.axes[0].get_lines()]
    assert lines[1:] == [[(20, 0.5), (50, 0.6)], [(20, 0.4), (50, 0.7)]]
    assert "_a $x$" in drawn
    assert "b" * 40 in drawn
    assert "b" * 60 not in drawn
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["20", "50"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
@settings(max_examples=20)
def test_bars_of_differences(values: list[float]) -> None:
    """There is a bar per query, sorted, gains and losses in two colours."""
    with plots.style():
        figure = plots.differences(values, "nDCG@10")
        figure.savefig(io.BytesIO(), format="svg")
    gains, losses = (patch.get_data().values for patch in figure.axes[0].patches)
    assert list(gains + losses) == sorted(values, reverse=True)
    assert (gains >= 0).all()
    assert (losses <= 0).all()


@pytest.mark.parametrize("relevant", [[1.0], [1.0, 1.0], [-3.0, 8.0, 8.5]])
def test_shares_of_scores(relevant: list[float]) -> None:
    """Shares of each kind of hit sum to one, so that few relevant hits can be seen beside many others."""
    with plots.style():
        figure = plots.scores(relevant, [1.0, 1.0, 0.0, 5.0])
        drawn = plots.svg(figure, "s", "scores")
    for patch in figure.axes[0].patches:
        assert sum(patch.get_data().values) == pytest.approx(1.0)
    assert f"relevant hits ({len(relevant)})" in drawn


def test_letters_that_matplotlib_lacks() -> None:
    """Names in any script stay text for the reader's own fonts, without warnings."""
    with plots.style():
        figure = plots.latency([Point("1", 0.5, 10.0, 20.0), Point("検索", 0.6, 30.0, 40.0)], "nDCG@10 漢字 🙂")
        drawn = plots.svg(figure, "l", 'a "quoted" <name>')
    assert "nDCG@10 漢字 🙂" in drawn
    assert "検索" in drawn
    assert 'aria-label="a &quot;quoted&quot; &lt;name&gt;"' in drawn
