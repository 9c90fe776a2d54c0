"""Which pictures a report has, and what they say in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rebridge.evaluation import plots
from rebridge.evaluation.measures import percentiles

if TYPE_CHECKING:
    from rebridge.evaluation.report import ReportData

#: A picture of lines that all have one point shows nothing.
_FEWEST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the report, or why it is left out.

    Attributes:
        title: its heading.
        text: what it shows, for its caption; or the sentence that stands in its place.
        svg: the picture as an element of a page; None if it is left out.
    """

    title: str
    text: str
    svg: str | None = None


def pictures(data: ReportData, prefix: str = "") -> list[Picture]:
    """All pictures of a report.

    Args:
        data: the report's.
        prefix: begins all names inside the pictures, so that several reports can stand on one page.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    with plots.style():
        return [*(draw(data, prefix) for draw in (_differences, _windows, _latency)), *_scores(data, prefix)]


def _differences(data: ReportData, prefix: str) -> Picture:
    title = f"{data.subject} against {data.baseline}, query by query"
    results = {result.variant: result for result in data.results}
    before, after = (results[name].values[data.measure] for name in (data.baseline, data.subject))
    values = [after[query] - before[query] for query in before]
    if not any(values):
        return Picture(title, f"No picture: {data.measure} is the same for every query.")
    gained, lost = sum(value > 0 for value in values), sum(value < 0 for value in values)
    text = (
        f"{data.measure} of {data.subject} less that of {data.baseline}, a bar per query: {gained:,} gained, "
        f"{lost:,} lost, {len(values) - gained - lost:,} stayed as they were."
    )
    return Picture(title, text, plots.svg(plots.differences(values, data.measure), f"{prefix}differences", text))


def _windows(data: ReportData, prefix: str) -> Picture:
    title = f"{data.measure} and the rank window"
    lines = _series(data)
    if not lines:
        return Picture(title, "No picture: no two variants differ in their rank window alone.")
    level = next(result for result in data.results if result.variant == data.baseline).mean(data.measure)
    figure = plots.windows(lines, data.measure, (data.baseline, level))
    text = f"Mean {data.measure} by rank window. The dotted line is {data.baseline}, {level:.3f}."
    return Picture(title, text, plots.svg(figure, f"{prefix}windows", text))


def _latency(data: ReportData, prefix: str) -> Picture:
    title = f"{data.measure} and latency"
    points = [
        plots.Point(str(number), result.mean(data.measure), times["p50"], times["p95"])
        for number, result in enumerate(data.results, start=1)
        if (times := percentiles(result.times.total_ms))
    ]
    if len(points) < _FEWEST_POINTS:
        return Picture(title, "No picture: the time of fewer than two variants was measured.")
    best = ", ".join(sorted((point.label for point in plots.front(points)), key=int))
    text = (
        f"Mean {data.measure} against the median time of a search; thin lines reach to the 95th percentile. Numbers "
        f"are those of the table. No other variant is both faster and better than {best}."
    )
    return Picture(title, text, plots.svg(plots.latency(points, data.measure), f"{prefix}latency", text))


def _scores(data: ReportData, prefix: str) -> Iterator[Picture]:
    for number, sample in enumerate(data.scores, start=1):
        title = f"Scores of {sample.model}"
        if not sample.relevant or not sample.other:
            kind = "other" if sample.relevant else "relevant"
            yield Picture(title, f"No picture: the model scored no {kind} hits.")
            continue
        better = _chance(sample.relevant, sample.other)
        text = (
            f"Raw scores of hits in the rank window. A relevant hit has the higher score in {better:.0%} of all pairs "
            "with another hit of any query (50%: the score says nothing)."
        )
        yield Picture(
            title, text, plots.svg(plots.scores(sample.relevant, sample.other), f"{prefix}scores{number}", text)
        )


def _chance(relevant: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How often the first of two is higher, ties counting half: the area under the ROC curve (Mann-Whitney U / nm)."""
    rest = np.sort(other)
    below, not_above = (np.searchsorted(rest, relevant, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(rest))


def _series(data: ReportData) -> dict[str, list[tuple[int, float]]]:
    """Name -> (rank window, value) of variants that differ in their rank window alone, two or more, by rank window."""
    groups: dict[str, dict[int, float]] = {}
    for variant, result in zip(data.variants, data.results, strict=True):
        if variant.rerank:
            rest = variant.config.model_dump(mode="json", exclude={"rank_window"})
            values = groups.setdefault(json.dumps(rest, sort_keys=True), {})
            values[variant.config.rank_window] = result.mean(data.measure)
    groups = {key: values for key, values in groups.items() if len(values) >= _FEWEST_POINTS}
    settings = {key: dict(_flat(json.loads(key))) for key in groups}
    names = {name for values in settings.values() for name in values}
    telling = sorted(name for name in names if len({repr(values.get(name)) for values in settings.values()}) > 1)
    lines: dict[str, list[tuple[int, float]]] = {}
    for key, by_window in groups.items():
        label = ", ".join(f"{name}={settings[key].get(name)}" for name in telling) or "reranked"
        lines[label] = sorted(by_window.items())
    return lines


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys of a pipeline with their values; not the connector's, which may be secret."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif not name.startswith("connector."):
            yield name, value
