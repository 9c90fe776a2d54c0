"""``rebridge demo``: BM25 beside reranked, on real documents that every machine has."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import console, say
from rebridge.cli.search import describe, movement, title

if TYPE_CHECKING:
    from rebridge.models import RankedHit
    from rebridge.searcher import Searcher

QUESTIONS = (
    "run a function in another thread and get its result",
    "measure how long a piece of code takes",
    "send an email with an attachment",
    "sort a list of objects by one attribute",
    "compress a file to save space",
)
_SHOWN = 5


def demo(
    question: Annotated[str | None, typer.Argument(help="Ask this instead of the built-in questions.")] = None,
    configs: Configs = None,
) -> None:
    """Show BM25 beside reranked answers.

    Indexes the documentation of your own Python's standard library; needs no server, hub or GPU.

    \b
    Examples:
      rebridge demo
      rebridge demo "read a csv file into dictionaries"
    """
    from rebridge.config import load_config
    from rebridge.searcher import Searcher

    started = time.monotonic()
    config = load_config("demo", configs)
    with Searcher.open("demo", config, create=True) as searcher:
        opened = time.monotonic()
        documents = _fill(searcher, repr(config.connector_settings("demo")))
        indexed = time.monotonic()
        for asked in (question,) if question else QUESTIONS:
            _ask(searcher, asked)
    finished = time.monotonic()
    say(
        f"{documents:,} documents of Python {platform.python_version()}. Model {opened - started:.1f} s, "
        f"index {indexed - opened:.1f} s, questions {finished - indexed:.1f} s."
    )
    say('Next: rebridge search demo "your question" --explain')


def _fill(searcher: Searcher, settings: str) -> int:
    """Index the documentation, unless that was done for this very Python; says how many documents there are."""
    from importlib.metadata import version

    from platformdirs import user_state_path

    from rebridge.stdlib_docs import documents

    state = user_state_path("rebridge") / "demo.txt"
    made_for = f"{platform.python_version()} {version('rebridge')} {settings}"
    if not state.is_file() or state.read_text(encoding="utf-8") != made_for or not searcher.engine.count():
        say("Indexing the documentation of your Python's standard library ...")
        searcher.engine.add(documents())
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(made_for, encoding="utf-8")
    return searcher.engine.count()


def _ask(searcher: Searcher, question: str) -> None:
    """Show both orders of a question side by side."""
    from rich.table import Table

    before = searcher.search(question, size=_SHOWN, rerank=False)
    after = searcher.search(question, size=_SHOWN)
    table = Table(title=f"[bold]{question}[/]", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right", min_width=1)
    table.add_column("BM25", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("reranked", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("was", justify="right", no_wrap=True, min_width=6)
    for number in range(max(len(before.page), len(after.page))):
        left, right = _at(before.page, number), _at(after.page, number)
        table.add_row(
            str(number + 1),
            _name(searcher, left),
            _name(searcher, right),
            f"{right.candidate.rank} {movement(right)}" if right else "",
        )
    out = console()
    out.print(table)
    out.print(f"[dim]{describe(after.summary)}[/]\n")


def _at(page: Any, number: int) -> RankedHit | None:
    return page[number] if number < len(page) else None


def _name(searcher: Searcher, hit: RankedHit | None) -> str:
    from rich.markup import escape

    return escape(title(searcher, hit)) if hit else ""
