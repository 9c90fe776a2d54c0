"""``rebridge explain``: why a document stands where it does, or why it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, console, print_json
from rebridge.cli.search import line, note_assumption, parse_filters

if TYPE_CHECKING:
    from rebridge.explanation import Explanation

_PASSAGE_LIMIT = 600


def explain(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    query: Annotated[str, typer.Argument(help="The query, in plain words.")],
    doc_id: Annotated[str, typer.Argument(help="The engine's id of the document.")],
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FIELD=VALUE", help="The search's filters, as for `rebridge search`."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, help="How many first-stage hits to look at for a document behind the rank window.")
    ] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    configs: Configs = None,
) -> None:
    """Say why a document stands where it does.

    Where it was and where it is, what the model read of it and how its scores came about. For a document that is not
    there: whether it is not in the index, filtered, not matched, behind the rank window, or scored low.

    \b
    Examples:
      rebridge explain demo "run a function in another thread" threading.Thread
      rebridge explain docs "gdpr retention" 4711 --filter lang=en --json
    """
    from dataclasses import asdict

    from rebridge import explaining
    from rebridge.searcher import Searcher

    wanted = parse_filters(filters or [])
    with Searcher.open(index, configs=configs) as searcher:
        note_assumption(searcher)
        found = explaining.explain(searcher, query, doc_id, filters=wanted, depth=depth)
    if as_json:
        print_json({**asdict(found), "sentences": found.sentences()})
    else:
        _show(found)
    if found.status == "degraded":
        raise typer.Exit(PARTLY)


def _show(found: Explanation) -> None:
    """The explanation for people."""
    out = console()
    out.print(line(f"{found.doc_id}: {found.verdict.replace('_', ' ')}"), style="bold")
    for sentence in found.sentences():
        out.print(line(sentence), soft_wrap=True)
    if found.judgement is not None and found.judgement.passage:
        text = found.judgement.passage
        cut = "..." if len(text) > _PASSAGE_LIMIT else ""
        out.print("\npassage", style="bold")
        out.print(line(" ".join(text[:_PASSAGE_LIMIT].split()) + cut), soft_wrap=True)
