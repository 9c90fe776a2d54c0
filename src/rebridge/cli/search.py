"""``rebridge search``: query an index, with ranks before and after."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, console, print_json, say

if TYPE_CHECKING:
    from rich.text import Text

    from rebridge.flow import Outcome
    from rebridge.models import RankedHit
    from rebridge.searcher import Searcher

_PASSAGE_LIMIT = 400
_FILTER = re.compile(r"([^=<>]+)(>=|<=|=|>|<)(.+)", re.DOTALL)
_BOUNDS = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}


def search(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    query: Annotated[str, typer.Argument(help="What you are looking for, in plain words.")],
    size: Annotated[int, typer.Option(min=1, max=1000, help="Hits on a page.")] = 10,
    page: Annotated[int, typer.Option(min=1, help="Page number, from 1.")] = 1,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=VALUE",
            help="Only hits with this value, or FIELD>=VALUE and so on; several values of a field are alternatives.",
        ),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Rerank, or show the engine's own order.")
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each hit's passage and how its score came about.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    configs: Configs = None,
) -> None:
    """Search an index.

    Shows for each hit where reranking moved it, and its first-stage, model and final score.

    \b
    Examples:
      rebridge search demo "run a function in another thread"
      rebridge search docs "gdpr retention" --filter lang=en --size 5 --explain
      rebridge search docs "invoice export" --json | jq '.hits[].id'
    """
    from rebridge.searcher import Searcher

    wanted = parse_filters(filters or [])
    with Searcher.open(index, configs=configs, rerank=rerank) as searcher:
        note_assumption(searcher)
        outcome = searcher.search(query, offset=(page - 1) * size, size=size, filters=wanted, rerank=rerank)
        if as_json:
            print_json(as_dict(index, query, outcome))
        else:
            show(outcome, searcher, explain=explain)
    if outcome.summary.status == "degraded":
        raise typer.Exit(PARTLY)


def note_assumption(searcher: Searcher) -> None:
    """Say how a model that is not known by name is scored."""
    choice = getattr(searcher.scorer, "choice", None)
    if choice is not None and choice.assumed:
        say(f"note: {searcher.pipeline.model} is scored by the recipe {choice.recipe.name!r}: {choice.reason}")


def parse_filters(given: list[str]) -> dict[str, Any]:
    """``["lang=en", "lang=de", "year>=2020"]`` -> ``{"lang": ["en", "de"], "year": {"gte": "2020"}}``."""
    filters: dict[str, Any] = {}
    for text in given:
        match = _FILTER.fullmatch(text)
        if match is None:
            raise typer.BadParameter(f"{text!r} is not FIELD=VALUE or FIELD>=VALUE", param_hint="--filter")
        field, operator, value = match.groups()
        if operator == "=":
            values = filters.setdefault(field, [])
            if not isinstance(values, list):
                raise typer.BadParameter(f"{field} cannot have both values and a range", param_hint="--filter")
            values.append(value)
        else:
            bounds = filters.setdefault(field, {})
            if not isinstance(bounds, dict):
                raise typer.BadParameter(f"{field} cannot have both values and a range", param_hint="--filter")
            bounds[_BOUNDS[operator]] = value
    return filters


def as_dict(index: str, query: str, outcome: Outcome[Any]) -> dict[str, Any]:
    """The outcome for scripts."""
    from dataclasses import asdict

    return {
        "index": index,
        "query": query,
        **asdict(outcome.summary),
        "hits": [
            {
                "id": hit.candidate.doc_id,
                "rank": hit.rank,
                "first_stage_rank": hit.candidate.rank,
                "score": hit.score,
                "first_stage_score": hit.candidate.score,
                "rerank_score": hit.rerank_score,
                "flags": list(hit.flags),
                "source": hit.candidate.source,
            }
            for hit in outcome.page
        ],
    }


def show(outcome: Outcome[Any], searcher: Searcher, *, explain: bool) -> None:
    """The outcome for people."""
    from rich.table import Table

    out, summary = console(), outcome.summary
    if not outcome.page:
        out.print("No hits." + _hint(searcher), markup=False)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), expand=True)
        for heading in ("rank", "before", "move", "score", "first stage", "rerank"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("id", overflow="ellipsis", no_wrap=True, max_width=20)
        table.add_column("passage", overflow="ellipsis", no_wrap=True, ratio=1)
        for hit in outcome.page:
            table.add_row(*_row(hit), line(hit.candidate.doc_id), line(title(searcher, hit)))
        out.print(table)
    if explain:
        _explain(outcome, searcher)
    say(describe(summary))


def _hint(searcher: Searcher) -> str:
    """What to do where an engine finds nothing in fields that it does not have, and does not say so."""
    from rebridge.remote import RemoteSettings

    if not issubclass(searcher.pipeline.connector.settings, RemoteSettings):
        return ""
    return f" `rebridge config check {searcher.pipeline.index} --live` tells whether its fields exist."


def describe(summary: Any) -> str:
    """The summary in a line."""
    timings = f"engine {summary.engine_ms:.0f} ms, scorer {summary.scorer_ms:.0f} ms, total {summary.total_ms:.0f} ms"
    if summary.status == "degraded":
        cure = "; raise deadline_ms or lower rank_window" if summary.reason == "deadline" else ""
        return f"DEGRADED ({summary.reason}): first-stage order. {summary.detail or ''}{cure}\n{timings}"
    if summary.status == "bypassed":
        return f"not reranked ({summary.reason}); {timings}"
    if not summary.scored:
        return f"nothing to rerank ({summary.reason or 'no hits'}); {timings}"
    text = f"reranked {summary.scored} of a window of {summary.rank_window} with {summary.model}"
    return f"{text}{f', a fallback ({summary.detail})' if summary.reason == 'fallback' else ''}; {timings}"


def title(searcher: Searcher, hit: RankedHit) -> str:
    """The first line of a hit's passage, to recognise it by."""
    return searcher.pipeline.passage.build(hit.candidate.source).text.partition("\n")[0]


def line(text: str) -> Text:
    """Text as it is, without what a terminal would obey."""
    from rich.text import Text

    return Text("".join(character if character.isprintable() else " " for character in text))


def movement(hit: RankedHit) -> str:
    """How many places a hit rose or fell."""
    places = hit.candidate.rank - hit.rank
    return "=" if places == 0 else f"[green]▲{places}[/]" if places > 0 else f"[red]▼{-places}[/]"


def _row(hit: RankedHit) -> tuple[str, ...]:
    rerank = "-" if hit.rerank_score is None else f"{hit.rerank_score:.3f}"
    return (
        str(hit.rank),
        str(hit.candidate.rank),
        movement(hit),
        f"{hit.score:.3f}",
        f"{hit.candidate.score:.3f}",
        rerank,
    )


def _explain(outcome: Outcome[Any], searcher: Searcher) -> None:
    from rich.markup import escape

    out = console()
    for position, hit in enumerate(outcome.page):
        terms = outcome.terms[position]
        out.print(f"\n[bold]{hit.rank}. {escape(hit.candidate.doc_id)}[/]")
        if terms is not None:
            fusion = searcher.pipeline.fusion
            out.print(
                f"   {fusion.method}: {terms.first_stage:.4f} (first stage) + {terms.rerank:.4f} (rerank)"
                f" = {terms.total:.4f}; final score {hit.score:.4f}, above that of any hit outside the window"
            )
        if len(hit.windows) > 1:
            out.print("   windows: " + ", ".join(f"{score:.3f}" for score in hit.windows))
        if hit.flags:
            out.print(f"   flags: {', '.join(hit.flags)}")
        text = searcher.pipeline.passage.build(hit.candidate.source).text
        cut = "..." if len(text) > _PASSAGE_LIMIT else ""
        out.print(line("   " + " ".join(text[:_PASSAGE_LIMIT].split()) + cut))
