"""What ``rebridge tune`` shows and writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rebridge.cli.output import console, say

if TYPE_CHECKING:
    from rebridge.evaluation.comparing import Comparison
    from rebridge.evaluation.tuning import Job, Report, Setting, Tried

#: How many settings are shown.
_SHOWN = 10


def finish(job: Job, report: Report, text: str, out: Path) -> bool:
    """Show what was found, and write the tuned file if the choice is worth it.

    Args:
        job: what was tuned.
        report: what came out.
        text: the pipeline file as it is.
        out: where the tuned one goes.

    Returns:
        whether the choice is better than the first stage with confidence.
    """
    from rebridge.evaluation.tuning import tuned_text

    found = report.tuning
    _show_settings(job, report)
    if report.latencies:
        _show_latencies(job, report)
    for line in _worth(report):
        console().print(line, markup=False, soft_wrap=True)
    for passage, count in report.textless.items():
        say(
            f"note: the passage template {passage.template!r} makes no text of any hit of {count} of "
            f"{len(report.topics.queries)} queries: the model does not rerank these."
        )
    if found.own is None:
        say(
            f"note: the pipeline as it is was not tried: its rank window of {job.config.rank_window} is too slow, or "
            "wider than all of --windows."
        )
    if not found.recommended:
        say(
            "No setting is recommended: on queries that have not chosen it, the choice is not better than the first "
            "stage with confidence. Nothing was written. More judged queries make narrower intervals."
        )
    elif found.own is not None and found.chosen == found.own.setting:
        say("The pipeline has this setting already, so nothing was written.")
    elif not found.changes:
        say("On other queries the choice is not expected to be better than the pipeline as it is: nothing was written.")
    else:
        _write(out, tuned_text(text, found.chosen, _evidence(job, report)))
        say(f"Wrote {out}. To try it: rebridge search {job.index} ... --configs {out.parent}")
        _warn_of_environment(job.index)
    return found.recommended


def _show_settings(job: Job, report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    found = report.tuning
    several = len({tried.setting.passage for tried in found.tried}) > 1
    table = Table(title=Text(_title(report)), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("rank window", report.measure.name, "gain"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("fusion", *(["passage"] if several else []), ""):
        table.add_column(name, overflow="fold")
    notes = {found.chosen: "chosen"}
    if found.own is not None:
        notes[found.own.setting] = "chosen; as it is" if found.chosen == found.own.setting else "as it is"
    windows = set[int]()  # the best setting of each is shown too: a smaller one may be worth what it loses
    for place, tried in enumerate(found.tried):
        if place < _SHOWN or tried.setting in notes or tried.setting.rank_window not in windows:
            windows.add(tried.setting.rank_window)
            table.add_row(*_row(tried, found.expected.baseline_mean, notes, several=several))
    table.add_row("", f"{found.expected.baseline_mean:.4f}", "", "first stage")
    out = console()
    out.print(table)
    fast = len(found.tried)
    slow = len(job.space.settings(job.config)) - fast
    out.print(f"{fast} settings tried" + (f", {slow} left out as too slow" if slow else "") + ".\n")


def _title(report: Report) -> str:
    return f"{report.topics.name or 'queries'}: means over {len(report.topics.queries):,} queries"


def _row(tried: Tried, first_stage: float, notes: dict[Setting, str], *, several: bool) -> list[str]:
    from rich.markup import escape

    setting = tried.setting
    passage = [escape(setting.read())] if several else []
    figures = [str(setting.rank_window), f"{tried.mean:.4f}", f"{tried.mean - first_stage:+.4f}"]
    return [*figures, setting.fused(), *passage, notes.get(setting, "")]


def _show_latencies(job: Job, report: Report) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="times of searches, no scores cached", title_justify="left", box=None, pad_edge=False)
    for name in ("rank window", "searches", "p50 ms", "p95 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    whose = "" if job.limit_ms == job.budget_ms else ", the pipeline's deadline_ms"
    for name in (f"within {job.limit_ms:g} ms{whose}", "passage"):
        table.add_column(name, overflow="fold")
    for one in report.latencies:
        fits = "yes" if one.p95 <= job.limit_ms else "no"
        figures = (str(one.rank_window), str(one.searches), f"{one.p50:.0f}", f"{one.p95:.0f}")
        table.add_row(*figures, fits, escape(one.passage.template.replace("\n", "\\n")))
    console().print(table)
    console().print()


def _worth(report: Report) -> list[str]:
    """What the choice is worth, in lines for people."""
    found = report.tuning
    same = sum(setting == found.chosen for setting in found.fold_choices)
    folds = f"{same} of {len(found.fold_choices)} folds choose it too"
    lines = [
        f"chosen: rank window {found.chosen.rank_window}, {found.chosen.fused()}; {folds}",
        f"expected gain over the first stage, on other queries: {_gain(found.expected)}",
        f"gain on these queries, which have chosen it, so an optimistic figure: {found.optimistic.difference:+.4f}",
    ]
    if found.own is not None and found.expected_over_own is not None and found.chosen != found.own.setting:
        lines.append(f"expected gain over the pipeline as it is, on other queries: {_gain(found.expected_over_own)}")
    return lines


def _gain(comparison: Comparison) -> str:
    return (
        f"{comparison.difference:+.4f} (95% interval {comparison.low:+.4f} to {comparison.high:+.4f}, "
        f"p {comparison.p:.4f}), from {comparison.baseline_mean:.4f} to {comparison.mean:.4f}"
    )


def _evidence(job: Job, report: Report) -> list[str]:
    """Where the setting comes from, for the head of the file."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    found, today = report.tuning, datetime.now(UTC).date()
    tried = f"{report.measure.name}, {len(found.tried)} settings, {job.folds} folds, seed {job.seed}"
    lines = [
        f"by `rebridge tune` {version('rebridge')} on {today}, with {job.config.scorer.model}",
        f"{report.topics.name or 'queries'}: {len(report.topics.queries)} queries, {tried}",
        *_worth(report),
    ]
    timed = [
        one
        for one in report.latencies
        if (one.passage, one.rank_window) == (found.chosen.passage, found.chosen.rank_window)
    ]
    return lines + [f"95% of {one.searches} searches took {one.p95:.0f} ms or less, no scores cached" for one in timed]


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)  # noqa: PTH105 - the same call, and plainly the atomic one
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _warn_of_environment(index: str) -> None:
    """Variables override files, tuned ones too."""
    from rebridge.config_files import env_prefix

    tuned = tuple(f"{env_prefix(index)}{key}" for key in ("RANK_WINDOW", "FUSION", "PASSAGE"))
    names = sorted(name for name in os.environ if name.upper().startswith(tuned))
    if names:
        say(f"warning: {', '.join(names)} override the tuned file: remove them from the environment.")
