"""``rebridge warm``: embed all passages of an index before anybody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, say

if TYPE_CHECKING:
    from rebridge.warming import Warmed


def warm(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    configs: Configs = None,
) -> None:
    """Embed all passages of an index, so that searches find their embeddings on disk.

    For pipelines whose model reads passages apart from the query (bi-encoders, late interaction) and keeps what it
    makes of them: `store: true`, or a folder, in the section `scorer`. What is there already is not computed again, so
    interrupt it whenever you like, and run it again after documents have changed. Searches may go on meanwhile.

    \b
    Examples:
      rebridge warm docs
      REBRIDGE_PIPELINE__DOCS__SCORER__DEVICE=cuda \\
        REBRIDGE_PIPELINE__DOCS__SCORER__DTYPE=float32 rebridge warm docs

    The last one embeds on a GPU for searches on a CPU: these read float32, and a GPU's default is bfloat16.
    """
    from rebridge.cli.progress import bars
    from rebridge.config_files import load_config
    from rebridge.scorers import open_scorer
    from rebridge.searcher import Searcher
    from rebridge.warming import keeping_recipe, warm

    config = load_config(index, configs)
    section = config.scorer
    options = {**section.options(), "recipe": keeping_recipe(section).name}
    with Searcher.open(index, config, rerank=False) as searcher:
        total = searcher.engine.count()
        with open_scorer(section.model, **options) as scorer, bars() as tell:
            try:
                done = warm(
                    searcher.engine, config.passage, scorer, lambda count: tell("documents", count, max(count, total))
                )
            except KeyboardInterrupt:
                say("Interrupted; what was embedded is kept. The same command goes on from there.")
                raise typer.Exit(130) from None
    _show(done)
    if done.full:
        say("The store is full with what is in use, so the rest was left: raise store_size.")
        raise typer.Exit(PARTLY)


def _show(done: Warmed) -> None:
    rate = f" ({done.embedded / done.seconds:,.0f} a second)" if done.embedded else ""
    blank = f"; {done.blank:,} documents have no text" if done.blank else ""
    unkept = (
        f", {done.unkept:,} cannot be kept (empty, not finite, or larger than {done.largest_bytes / 1e6:,.1f} MB)"
        if done.unkept
        else ""
    )
    typer.echo(
        f"{done.documents:,} documents, {done.embedded + done.kept + done.unkept:,} passages: {done.embedded:,} "
        f"embedded in {done.seconds:.1f} s{rate}, {done.kept:,} were there{unkept}{blank}. "
        f"The store holds {done.used_bytes / 1e6:,.1f} MB of {done.max_bytes / 1e6:,.0f} MB."
    )
