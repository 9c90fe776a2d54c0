"""``rebridge models``: which models are known to work."""

from __future__ import annotations

from typing import Annotated

import typer

from rebridge.cli.output import console, print_json


def models(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False) -> None:
    """List models that are known to work: family, size, context, languages, licence, published score.

    Any other model of these families works too: give its hub id or folder as scorer.model in the pipeline.

    \b
    Example:
      rebridge models --json | jq '.[] | select(.parameters < 100) | .name'
    """
    from dataclasses import asdict

    from rebridge.scorers.known import KNOWN_MODELS

    if as_json:
        print_json([asdict(model) for model in KNOWN_MODELS])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    for heading in ("languages", "licence", "published score"):
        table.add_column(heading)
    for model in KNOWN_MODELS:
        table.add_row(
            model.name,
            model.family,
            f"{model.parameters:.0f} M",
            str(model.context),
            model.languages,
            model.licence,
            model.published or "-",
        )
    console().print(table)
