"""``rebridge demo``: BM25 beside reranked, on real documents that every machine has."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, console, say
from rebridge.cli.search import describe, line, movement, title

if TYPE_CHECKING:
    from rich.text import Text

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
    from rebridge.config_files import load_config
    from rebridge.searcher import Searcher

    started = time.monotonic()
    config = load_config("demo", configs)
    _forget_other_pythons(config.connector_settings("demo").path)
    with Searcher.open("demo", config, create=True) as searcher:
        opened = time.monotonic()
        documents = _fill(searcher)
        indexed = time.monotonic()
        degraded = [asked for asked in ((question,) if question else QUESTIONS) if not _ask(searcher, asked)]
    finished = time.monotonic()
    say(
        f"{documents:,} documents of Python {platform.python_version()}. Model {opened - started:.1f} s, "
        f"index {indexed - opened:.1f} s, questions {finished - indexed:.1f} s."
    )
    say('Next: rebridge search demo "your question" --explain')
    if degraded:
        raise typer.Exit(PARTLY)


def _forget_other_pythons(folder: Path) -> None:
    """Remove the index if it was made for another Python, whose documents would stay in it."""
    from importlib.metadata import version
    from shutil import rmtree

    made_for = folder.with_name(f"{folder.name}.made-for")
    wanted = f"{platform.python_version()} {version('rebridge')}"
    if folder.is_dir() and not (made_for.is_file() and made_for.read_text(encoding="utf-8") == wanted):
        rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made_for.write_text(wanted, encoding="utf-8")


def _fill(searcher: Searcher) -> int:
    """Index the documentation unless that is done; says how many documents there are."""
    from rebridge.stdlib_docs import documents

    if not searcher.engine.count():
        say("Indexing the documentation of your Python's standard library ...")
        searcher.engine.add(documents())
    return searcher.engine.count()


def _ask(searcher: Searcher, question: str) -> bool:
    """Show both orders of a question side by side; says whether it was reranked."""
    from rich.table import Table
    from rich.text import Text

    before = searcher.search(question, size=_SHOWN, rerank=False)
    after = searcher.search(question, size=_SHOWN)
    title_line = Text(question, style="bold")
    table = Table(title=title_line, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
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
    out.print(Text(describe(after.summary) + "\n", style="dim"))
    return after.summary.status != "degraded"


def _at(page: Any, number: int) -> RankedHit | None:
    return page[number] if number < len(page) else None


def _name(searcher: Searcher, hit: RankedHit | None) -> Text:
    return line(title(searcher, hit) if hit else "")
