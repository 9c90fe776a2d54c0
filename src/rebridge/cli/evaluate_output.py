"""How ``rebridge eval`` shows what it found: as tables, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rebridge.cli.output import console, print_json, say

if TYPE_CHECKING:
    from rebridge.evaluation.comparing import Comparison
    from rebridge.evaluation.model import Finding, Result, Topics
    from rebridge.evaluation.report import Example, Shown

Format = Literal["table", "markdown", "csv", "json"]
Row = dict[str, str]

#: Hits of each list of an example.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is shown.

    Attributes:
        topics: the queries.
        measure: the one that variants are compared by.
        baseline: the variant that the others are compared with.
        subject: the variant that examples are about.
        results: one per variant.
        comparisons: of the others with the baseline.
        examples: the queries that the subject changed most.
    """

    topics: Topics
    measure: str
    baseline: str
    subject: str
    results: Sequence[Result]
    comparisons: Sequence[Comparison]
    examples: Sequence[Example] = ()


def show(found: Findings, how: Format) -> None:
    """Print it on standard output."""
    if how == "json":
        print_json(_as_dict(found))
    elif how == "csv":
        rows = [_flat(result, found) for result in found.results]
        writer = csv.DictWriter(sys.stdout, list({key: None for row in rows for key in row}), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        tables = _tables(found)
        for title, rows in tables.items():
            (_print_markdown if how == "markdown" else _print_table)(title, rows)


def tell_findings(findings: Sequence[Finding]) -> None:
    """Say what is odd about the inputs, on standard error."""
    for finding in findings:
        examples = f" (such as {', '.join(finding.examples)})" if finding.examples else ""
        say(f"note: {finding.count:,} {finding.what}{examples}")


def _tables(found: Findings) -> dict[str, list[Row]]:
    """Title -> rows of text."""
    compared = {comparison.variant: comparison for comparison in found.comparisons}
    tables = {
        f"{found.topics.name or 'queries'}: means over {len(found.topics.queries):,} queries": [
            {"variant": _name(result)} | {name: f"{result.mean(name):.4f}" for name in result.values}
            for result in found.results
        ],
        f"{found.measure} compared with {found.baseline}; p by paired randomisation, corrected after Holm": [
            {"variant": _name(result)} | _compared(compared[result.variant])
            for result in found.results
            if result.variant in compared
        ],
    }
    timed = [result for result in found.results if result.times.total_ms or result.times.scorer_ms]
    if timed:  # a saved run has no engine to time
        parts = "engine / model / total" if timed[0].times.total_ms else "model"
        title = f"milliseconds of a search, no scores or embeddings cached: {parts}"
        tables[title] = [{"variant": _name(result)} | _latency(result) for result in timed]
    for example in found.examples:
        verb = "gained" if example.after > example.before else "lost"
        title = (
            f"{verb}: {example.query_id}: {example.text} ({found.measure} {example.before:.3f} -> {example.after:.3f})"
        )
        tables[title] = [
            {
                "": str(place + 1),
                f"{found.baseline} ": _hit(example.baseline, place),
                f"{found.subject} ": _hit(example.subject, place),
                "was": _was(example.subject, place),
            }
            for place in range(min(_SHOWN, max(len(example.baseline), len(example.subject))))
        ]
    return {title: rows for title, rows in tables.items() if rows}


def _name(result: Result) -> str:
    from rebridge.evaluation.running import invalid

    return f"{result.variant} (INVALID)" if invalid(result) else result.variant


def _compared(comparison: Comparison) -> Row:
    return {
        "difference": f"{comparison.difference:+.4f}",
        "95% interval": f"{comparison.low:+.4f} to {comparison.high:+.4f}",
        "p": _p(comparison.p_adjusted),
        "wins/ties/losses": f"{comparison.wins}/{comparison.ties}/{comparison.losses}",
    }


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"  # noqa: PLR2004 - four digits


def _latency(result: Result) -> Row:
    from rebridge.evaluation.measures import percentiles

    times = result.times
    timed = [values for values in (times.engine_ms, times.scorer_ms, times.total_ms) if values]
    parts = [percentiles(values) for values in timed]
    return {key: " / ".join(f"{part[key]:.0f}" for part in parts) for key in parts[-1]} | {
        "searches": str(len(timed[-1]))
    }


def _hit(hits: Sequence[Shown], place: int) -> str:
    if place >= len(hits):
        return ""
    hit = hits[place]
    grade = "" if hit.grade is None else f"[{hit.grade}] "
    return _plain(f"{grade}{hit.title or hit.doc_id}")


def _was(hits: Sequence[Shown], place: int) -> str:
    return str(hits[place].first_stage_rank or "") if place < len(hits) else ""


def _plain(text: str) -> str:
    """Text without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def _print_table(title: str, rows: Sequence[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    names = list(rows[0])
    wide = {name for name in names if name.endswith(" ")}  # lists of hits
    table = Table(
        title=Text(_plain(title), style="bold"), title_justify="left", box=None, pad_edge=False, expand=bool(wide)
    )
    for name in names:
        if name in wide:
            table.add_column(Text(name.strip()), ratio=1, no_wrap=True, overflow="ellipsis")
        else:
            # Only names of variants may be broken into lines, so that no figure is cut; headings break before the @.
            left = name == "variant"
            heading = Text(name.replace("@", "\n@"))
            table.add_column(heading, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row.get(name, "")) for name in names))
    console().print(table)
    console().print()


def _print_markdown(title: str, rows: Sequence[Row]) -> None:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"

    names = list(rows[0])
    lines = [f"**{_plain(title)}**", "", line(names), "|" + "---|" * len(names)]
    lines += [line([row.get(name, "") for name in names]) for row in rows]
    sys.stdout.write("\n".join(lines) + "\n\n")


def _flat(result: Result, found: Findings) -> dict[str, Any]:
    """A variant as one line of values."""
    own = _variant_dict(result, found)
    comparison = own["comparison"] or {}
    keys = ("difference", "low", "high", "p", "p_adjusted", "wins", "ties", "losses")
    return {
        "variant": own["variant"],
        "invalid": sum(own["invalid"].values()),
        **own["means"],
        **{key: comparison.get(key, "") for key in keys},
        **{f"{part}_ms_{share}": value for part, all_ in own["latency_ms"].items() for share, value in all_.items()},
    }


def _as_dict(found: Findings) -> dict[str, Any]:
    return {
        "topics": {
            "name": found.topics.name,
            "queries": len(found.topics.queries),
            "findings": [asdict(finding) for finding in found.topics.findings],
        },
        "measure": found.measure,
        "baseline": found.baseline,
        "variants": [_variant_dict(result, found) for result in found.results],
        "examples": [asdict(example) for example in found.examples],
    }


def _variant_dict(result: Result, found: Findings) -> dict[str, Any]:
    from rebridge.evaluation.measures import percentiles
    from rebridge.evaluation.running import invalid

    comparison = next((each for each in found.comparisons if each.variant == result.variant), None)
    times: Mapping[str, Sequence[float]] = {
        "engine": result.times.engine_ms,
        "scorer": result.times.scorer_ms,
        "total": result.times.total_ms,
    }
    return {
        "variant": result.variant,
        "means": {name: result.mean(name) for name in result.values},
        "comparison": None if comparison is None else asdict(comparison),
        "latency_ms": {part: percentiles(values) for part, values in times.items()},
        "not_applied": dict(result.not_applied),
        "invalid": dict(invalid(result)),
    }
