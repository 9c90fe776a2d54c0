"""One page that shows an evaluation: self-contained HTML, which needs no network and no other file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebridge.errors import MissingExtra
from rebridge.evaluation.measures import percentiles
from rebridge.evaluation.model import Result, Topics, Variant
from rebridge.evaluation.pictures import pictures
from rebridge.evaluation.plots import COLOURS

if TYPE_CHECKING:
    from rebridge.evaluation.comparing import Comparison


_SMALLEST_P = 0.001


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit as the report shows it.

    Attributes:
        doc_id: the document.
        title: the first words of its passage, to recognise it by; empty if unknown.
        grade: its judgement for this query; None if it was not judged.
        first_stage_rank: where the engine had it, from 1.
        rerank_score: the model's raw score; None if it was not scored.
    """

    doc_id: str
    title: str = ""
    grade: int | None = None
    first_stage_rank: int | None = None
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A query whose value a variant changed much, with both lists.

    Attributes:
        query_id: the query.
        text: its text.
        before: the measure's value for the baseline.
        after: the measure's value for the subject.
        baseline: the baseline's hits from rank 1, ten at most.
        subject: the subject's hits from rank 1, ten at most.
    """

    query_id: str
    text: str
    before: float
    after: float
    baseline: tuple[Shown, ...]
    subject: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class ScoreSample:
    """Raw scores of the model for hits in the rank window; a sample if there are many.

    Attributes:
        model: whose scores they are.
        relevant: those of documents judged relevant (grade above 0).
        other: those of all others, judged or not.
    """

    model: str
    relevant: tuple[float, ...]
    other: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report shows.

    Attributes:
        title: the page's heading, e.g. ``"docs on scifact"``.
        topics: the queries, with the findings about them.
        measure: the one that pictures and examples are about; a key of every result's values.
        baseline: name of the variant that the others are compared with.
        subject: name of the variant whose differences, query by query, are shown.
        variants: in the order of the tables.
        results: one per variant, in the same order.
        comparisons: of variants with the baseline, for any of the measures.
        manifest: how the figures came about, as stored beside the runs: nested mappings of plain values.
        examples: the queries that gained most, then those that lost most.
        scores: one sample per model.
        warnings: sentences that a reader must not miss, e.g. that a variant was degraded on some queries.
    """

    title: str
    topics: Topics
    measure: str
    baseline: str
    subject: str
    variants: tuple[Variant, ...]
    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]
    manifest: Mapping[str, Any]
    examples: tuple[Example, ...] = ()
    scores: tuple[ScoreSample, ...] = ()
    warnings: tuple[str, ...] = ()


def write_report(path: Path, data: ReportData) -> None:
    """Write the report as one HTML file, whole or not at all.

    Args:
        path: where to; an older report there is replaced.
        data: what it shows.

    Raises:
        MissingExtra: if matplotlib or Jinja2 is not installed.
        OSError: if the file cannot be written.
    """
    write_page(path, render(data))


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all; an older one is replaced.

    Raises:
        OSError: if the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8", errors="replace")  # ids may hold lone surrogates
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def render(data: ReportData) -> str:
    """The report as the text of an HTML page; arguments and errors as `write_report`."""
    return render_template("report.html", title=data.title, **shown(data))


def render_template(name: str, **values: Any) -> str:
    """One of the templates, filled; those of whole pages need a ``title``.

    Raises:
        MissingExtra: if Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise MissingExtra("The HTML report", "eval") from error

    environment = Environment(
        loader=PackageLoader("rebridge.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"probability": _probability, "signed": "{:+.3f}".format, "fixed": "{:.3f}".format}
    return environment.get_template(name).render(colours=COLOURS, **values)


def shown(data: ReportData, prefix: str = "") -> dict[str, Any]:
    """What the template ``evaluation.html`` needs.

    Args:
        data: the evaluation.
        prefix: begins all names inside its pictures, which must be unique on a page.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    return {
        "data": data,
        "measures": list(data.results[0].values),
        "rows": [_row(data, number) for number in range(len(data.results))],
        "tables": [(measure, found) for measure in data.results[0].values if (found := _comparisons(data, measure))],
        "gained": [example for example in data.examples if example.after > example.before],
        "lost": [example for example in data.examples if example.after <= example.before],
        "settings": list(_flat(data.manifest)),
        "pictures": pictures(data, prefix),
    }


def _row(data: ReportData, number: int) -> dict[str, Any]:
    """One variant of the first table."""
    variant, result = data.variants[number], data.results[number]
    if variant.name != result.variant:
        raise ValueError(f"results are not in the order of variants: {result.variant!r} for {variant.name!r}")
    return {
        "number": number + 1,
        "variant": variant,
        "values": [result.mean(measure) for measure in data.results[0].values],
        "times": list(percentiles(result.times.total_ms).values()),
        "timed": len(result.times.total_ms),
        "not_applied": result.not_applied,
    }


def _comparisons(data: ReportData, measure: str) -> list[Comparison]:
    return [found for found in data.comparisons if found.measure == measure]


def _probability(value: float) -> str:
    return "< 0.001" if value < _SMALLEST_P else f"{value:.3f}"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The dotted names of a manifest's values, with the values as text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
