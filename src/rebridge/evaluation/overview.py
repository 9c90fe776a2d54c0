"""Several evaluations on one page: one table of what reranking gains, then each evaluation's own report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rebridge.evaluation import plots
from rebridge.evaluation.comparing import holm
from rebridge.evaluation.measures import WINDOW_RECALL
from rebridge.evaluation.report import render_template, shown, write_page
from rebridge.evaluation.variants import RERANK

if TYPE_CHECKING:
    from rebridge.evaluation.comparing import Comparison
    from rebridge.evaluation.report import ReportData


@dataclass(frozen=True, slots=True)
class Gain:
    """One evaluation as a row of the table.

    Attributes:
        collection: whose queries they are.
        engine: product and version of the first stage.
        documents: how many the index holds.
        queries: how many were evaluated.
        rerank: mean of the model alone.
        comparison: of the pipeline as configured with the first stage; p is corrected for all rows of the table.
        window_recall: mean recall of the rank window, above which no reranker gets.
        valid: False if searches were answered in first-stage order.
    """

    collection: str
    engine: str
    documents: int
    queries: int
    rerank: float
    comparison: Comparison
    window_recall: float
    valid: bool


def gains(reports: Sequence[ReportData]) -> list[Gain]:
    """One row for each evaluation, in their order; all of them are by the same measure."""
    found = [_gain(data) for data in reports]
    adjusted = holm([gain.comparison.p for gain in found])
    return [
        replace(gain, comparison=replace(gain.comparison, p_adjusted=p))
        for gain, p in zip(found, adjusted, strict=True)
    ]


def write_overview(path: Path, title: str, reports: Sequence[ReportData]) -> None:
    """Write one HTML file with all of them, whole or not at all.

    Args:
        path: where to; an older file there is replaced.
        title: the page's heading.
        reports: one or more, by the same measure; an evaluation of ``rebridge eval`` each.

    Raises:
        MissingExtra: if matplotlib or Jinja2 is not installed.
        OSError: if the file cannot be written.
    """
    write_page(path, render_overview(title, reports))


def render_overview(title: str, reports: Sequence[ReportData]) -> str:
    """The text of the page; arguments and errors as `write_overview`."""
    rows, measure = gains(reports), reports[0].measure
    return render_template(
        "overview.html",
        title=title,
        measure=measure,
        baseline=reports[0].baseline,
        rows=rows,
        picture=_picture(rows, measure),
        warnings=[f"{data.title}: {warning}" for data in reports for warning in data.warnings],
        parts=[
            render_template("evaluation.html", **shown(data, f"evaluation{number}-"))
            for number, data in enumerate(reports, start=1)
        ],
    )


def _gain(data: ReportData) -> Gain:
    results = {result.variant: result for result in data.results}
    stage = data.manifest["first_stage"]
    return Gain(
        data.topics.name,
        stage["product"],
        stage["documents"],
        len(data.topics.queries),
        results[RERANK].mean(data.measure),
        next(each for each in data.comparisons if (each.variant, each.measure) == (data.subject, data.measure)),
        results[data.subject].mean(WINDOW_RECALL),
        valid=not data.warnings,
    )


def _picture(rows: Sequence[Gain], measure: str) -> str:
    series: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in rows:
        comparison = row.comparison
        series.setdefault(row.engine, {})[row.collection] = (comparison.difference, comparison.low, comparison.high)
    text = f"Mean difference in {measure} to the first stage, by collection and engine, with its 95% interval."
    with plots.style():
        return plots.svg(plots.gains(series, measure), "gains", text)
