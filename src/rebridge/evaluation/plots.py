"""The pictures of an evaluation, drawn by matplotlib without pyplot, so without windows or figures kept anywhere.

Each function takes plain values and gives a `matplotlib.figure.Figure`, which can be saved in any format; `svg` makes
it a part of an HTML page. Call them inside `style`.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from rebridge.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What a page may call the colours, so that it can replace them, e.g. in the dark. `COLOURS` are those of a light page.
INK, QUIET, GRID, GAIN, LOSS = "#1f2328", "#68717c", "#e3e6ea", "#0b6bcb", "#b8500f"
#: Of lines. After Okabe and Ito's colours, which most people with colour blindness tell apart, darkened for paper.
LINES = (GAIN, LOSS, "#00795a", "#a2488a", "#8a6a00", "#3f7f9f")
COLOURS: Mapping[str, str] = {
    "ink": INK,
    "quiet": QUIET,
    "grid": GRID,
    **{f"line{number}": colour for number, colour in enumerate(LINES, start=1)},
}

_DASHES = ("-", "--", ":", "-.")
_BINS = 40
_LONGEST_LABEL = 48
_COLOUR = re.compile("#[0-9a-f]{6}")
_NAMED = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True, slots=True)
class Point:
    """A variant in the picture of relevance against latency.

    Attributes:
        label: its number in the tables.
        value: the measure.
        typical_ms: median time of a search.
        slow_ms: 95th percentile.
    """

    label: str
    value: float
    typical_ms: float
    slow_ms: float


@contextmanager
def style() -> Iterator[None]:
    """Plain figures whose text stays text. matplotlib's settings are as before afterwards.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ModuleNotFoundError as error:
        raise MissingExtra("Drawing pictures", "eval") from error

    settings: Any = {  # the type of its keys changes with matplotlib's version
        "svg.fonttype": "none",
        "svg.hashsalt": "rebridge",  # the same figures give the same file
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": QUIET,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "legend.frameon": False,
    }
    with rc_context(settings), warnings.catch_warnings():
        # matplotlib only measures the text; the reader's own fonts have the letters.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def windows(series: Mapping[str, Sequence[tuple[int, float]]], measure: str, baseline: tuple[str, float]) -> Figure:
    """The measure against the rank window.

    Args:
        series: name -> (rank window, value), by rank window.
        measure: name of the measure.
        baseline: name and value of what does not depend on the window.
    """
    figure, axes = _figure()
    axes.axhline(baseline[1], color=QUIET, linestyle=(0, (1, 2)), label=_label(baseline[0]))
    for number, (name, points) in enumerate(series.items()):
        axes.plot(
            *zip(*points, strict=True),
            color=LINES[number % len(LINES)],
            linestyle=_DASHES[number // len(LINES) % len(_DASHES)],
            marker="o",
            markersize=4,
            label=_label(name),
        )
    axes.set_xticks(sorted({window for points in series.values() for window, _ in points}))
    axes.set_xlim(left=0)
    axes.set(xlabel="rank window (hits that the model scores)", ylabel=measure)
    figure.legend(loc="outside lower center", ncols=1 if len(series) < len(LINES) else 2)
    figure.set_size_inches(7, 3.4 + 0.2 * len(series))
    return figure


def front(points: Sequence[Point]) -> list[Point]:
    """The points than which no other is both at least as good and at least as fast, by time: the Pareto front."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.typical_ms, -point.value)):
        if not best or point.value > best[-1].value:
            best.append(point)
    return best


def latency(points: Sequence[Point], measure: str) -> Figure:
    """The measure against the median time of a search, a line reaching to the 95th percentile; with the front."""
    figure, axes = _figure()
    best = front(points)
    axes.step(
        [point.typical_ms for point in best], [point.value for point in best], where="post", color=LINES[0], alpha=0.6
    )
    for point in points:
        colour = LINES[0] if point in best else QUIET
        axes.plot([point.typical_ms, point.slow_ms], [point.value] * 2, color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(point.typical_ms, point.value, "o", color=colour, markersize=6)
        # Beside, not above: variants with the same window take the same time.
        axes.annotate(
            point.label,
            (point.typical_ms, point.value),
            (-5, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
        )
    slowest = max(point.slow_ms for point in points)
    axes.set_xlim(-0.05 * slowest, 1.05 * slowest)  # room for a label beside 0
    axes.margins(y=0.15)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set(xlabel="milliseconds per search", ylabel=measure)
    return figure


def differences(values: Sequence[float], measure: str) -> Figure:
    """A bar per query, the greatest gain first.

    Args:
        values: per query the variant's value less the baseline's, in any order; at least one.
        measure: name of the measure.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure()
    heights = np.sort(np.asarray(values, dtype=float))[::-1]
    edges = np.arange(len(heights) + 1)
    axes.stairs(np.maximum(heights, 0), edges, fill=True, color=GAIN)
    axes.stairs(np.minimum(heights, 0), edges, fill=True, color=LOSS)
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set_xlim(0, len(heights))
    axes.set(xlabel="queries, by difference", ylabel=f"difference in {measure}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def gains(series: Mapping[str, Mapping[str, tuple[float, float, float]]], measure: str) -> Figure:
    """What was gained on each collection, a mark with its interval for each engine.

    Args:
        series: name of the engine -> name of the collection -> mean difference, lower and upper end of its interval.
        measure: name of the measure.
    """
    figure, axes = _figure()
    collections = list(dict.fromkeys(name for values in series.values() for name in values))
    for number, (engine, values) in enumerate(series.items()):
        rows = np.array([collections.index(name) for name in values]) + 0.7 * (number + 0.5) / len(series) - 0.35
        colour = LINES[number % len(LINES)]
        means, lows, highs = zip(*values.values(), strict=True)
        axes.hlines(rows, lows, highs, color=colour, linewidth=1)
        axes.plot(means, rows, "o", color=colour, markersize=5, label=_label(engine))
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.set_yticks(range(len(collections)), [_label(name) for name in collections])
    axes.set_ylim(len(collections) - 0.5, -0.5)  # the first one on top
    axes.set(xlabel=f"difference in {measure}, with its 95% interval")
    figure.legend(loc="outside lower center", ncols=2)
    figure.set_size_inches(7, 1.2 + 0.2 * (len(series) + 1) * len(collections))
    return figure


def scores(relevant: Sequence[float], other: Sequence[float]) -> Figure:
    """How the model's raw scores spread: shares of each kind of hit. Both kinds have at least one."""
    figure, axes = _figure()
    edges = np.histogram_bin_edges(np.concatenate([relevant, other]), bins=_BINS)
    for name, values, colour in (("other hits", other, QUIET), ("relevant hits", relevant, GAIN)):
        shares = np.histogram(values, bins=edges)[0] / len(values)
        label = f"{name} ({len(values):,})"
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3, label=label)
        axes.stairs(shares, edges, color=colour)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set(xlabel="raw score of the model", ylabel="share of hits")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def svg(figure: Figure, name: str, description: str) -> str:
    """A figure as an element of an HTML page, in which colours are variables with a default (``--ink`` and so on).

    Args:
        figure: what to show.
        name: unique on the page: names inside the element begin with it.
        description: what the picture shows, for those who do not see it.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    element = out.getvalue().partition("<svg ")[2]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    variables = {colour: f"var(--{variable}, {colour})" for variable, colour in COLOURS.items()}
    element = _COLOUR.sub(lambda found: variables.get(found[0], found[0]), element)
    element = _NAMED.sub(rf"\g<1>{name}-", element)
    return f'<svg role="img" aria-label="{escape(description)}" {element}'


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    return figure, figure.add_subplot()


def _label(name: str) -> str:
    """A name for a legend; matplotlib leaves names out that begin with an underscore."""
    short = name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"
    return f" {short}" if short.startswith("_") else short
