"""``rebridge config``: check, show and describe pipeline files."""

from __future__ import annotations

from typing import Annotated

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import console, print_json, say

app = typer.Typer(help="Check, show and describe pipeline files.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    indices: Annotated[
        list[str] | None, typer.Argument(help="Names of indices; all that are configured if none.")
    ] = None,
    configs: Configs = None,
) -> None:
    """Check pipeline files.

    Every mistake is named with file, line, key and cure.

    \b
    Examples:
      rebridge config check
      rebridge config check docs --configs /etc/rebridge
    """
    from rebridge.config_files import available, load_config
    from rebridge.errors import ConfigError, MissingExtra

    failed = False
    for index in indices or sorted(available(configs)):
        try:
            load_config(index, configs)
        except MissingExtra as error:
            failed = True
            say(f"{index}: {error}")
        except ConfigError as error:
            failed = True
            say(str(error))
        else:
            console().print(f"{index}: ok", markup=False)
    if failed:
        raise typer.Exit(2)


@app.command()
def show(
    index: Annotated[str, typer.Argument(help="Name of the index.")],
    configs: Configs = None,
) -> None:
    """Show a pipeline as it is in force.

    File, defaults and environment put together; secrets are masked.

    \b
    Example:
      rebridge config show demo
    """
    import yaml

    from rebridge.config_files import config_path, load_config

    config = load_config(index, configs)
    say(f"# {config_path(index, configs)}")
    # The connector's own model knows its defaults and which of its keys are secrets.
    connector = {"name": config.connector.name, **config.connector_settings(index).model_dump(mode="json")}
    content = {**config.model_dump(mode="json"), "connector": connector}
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files.

    Editors complete and check pipeline files with it.

    \b
    Example:
      rebridge config schema > configs/schema.json
      (then put this on a file's first line: # yaml-language-server: $schema=schema.json)
    """
    from rebridge.config import json_schema

    print_json(json_schema())
