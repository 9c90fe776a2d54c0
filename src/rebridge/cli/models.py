"""``rebridge models``: which models are known to work, and whether one gives its published scores here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.output import PARTLY, console, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rebridge.scorers.golden import Comparison, Golden
    from rebridge.scorers.known import KnownModel

# In a pipe a row stays on one line, for grep.
_PIPE_WIDTH = 250

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """List models that are known to work.

    Recipe, size, context, languages, licence and published score of each. Any other model that fits a recipe works
    too: give its hub id or folder as scorer.model in the pipeline, and the recipe as scorer.recipe where the model's
    configuration cannot tell.

    \b
    Examples:
      rebridge models --json | jq '.[] | select(.parameters < 100) | .name'
      rebridge models verify BAAI/bge-reranker-base
    """
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from rebridge.scorers.known import KNOWN_MODELS

    if as_json:
        print_json([asdict(model) | {"recipe": model.recipe} for model in KNOWN_MODELS])
    else:
        _list(KNOWN_MODELS)


def _list(known: Iterable[KnownModel]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("model", "recipe"):
        table.add_column(heading, overflow="fold")
    for heading in ("parameters", "tokens"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("languages", "licence", "published score"):
        table.add_column(heading)
    for model in known:
        table.add_row(
            model.name,
            model.recipe,
            f"{model.parameters:.0f} M",
            str(model.context),
            model.languages,
            model.licence,
            model.published or "-",
        )
    output = console()
    if not output.is_terminal:
        output.width = _PIPE_WIDTH
    output.print(table)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name of a model on the hub.")],
    files: Annotated[Path | None, typer.Option(help="Folder with a copy of its files, instead of the hub.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, float16. [default: as published]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Check that a model gives its published scores on this machine.

    Downloads the model if it is not here. The published scores are those of the tests of sentence-transformers.

    \b
    Example:
      rebridge models verify cross-encoder/ms-marco-MiniLM-L6-v2
      rebridge models verify BAAI/bge-reranker-v2-m3 --files ~/models/m3 --dtype float32
    """
    from rebridge.errors import ConfigError
    from rebridge.scorers.golden import PUBLISHED, compare
    from rebridge.scorers.opening import open_scorer
    from rebridge.scorers.recipes import recipe_of

    golden = PUBLISHED.get(name)
    if golden is None:
        raise ConfigError(f"no scores are published for {name}. There are some for: {', '.join(PUBLISHED)}")
    recipe = recipe_of(name)
    dtype = dtype or golden.dtype
    with open_scorer(files or name, recipe=recipe.name if recipe else None, device=device, dtype=dtype) as scorer:
        compared = compare(scorer, golden)
    _show(name, golden, dtype, compared, as_json=as_json)
    if not all(one.matches for one in compared):
        raise typer.Exit(PARTLY)


def _show(name: str, golden: Golden, dtype: str, compared: list[Comparison], *, as_json: bool) -> None:
    from dataclasses import asdict

    matched = sum(one.matches for one in compared)
    if as_json:
        scores = [asdict(one) for one in compared]
        print_json({"model": name, "dtype": dtype, **asdict(golden), "matched": matched, "scores": scores})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("published", "here", "difference", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("passage")
    for one in compared:
        mark = "[green]equal[/]" if one.matches else "[red]different[/]"
        table.add_row(f"{one.published:.5f}", f"{one.score:.5f}", f"{one.difference:.5f}", mark, one.passage)
    console().print(table)
    console().print(
        f"{name}: {matched} of {len(compared)} scores match within {golden.tolerance:g} "
        f"(published in {golden.dtype}, computed in {dtype})",
        soft_wrap=True,
    )
