"""``rebridge config``: check, show and describe pipeline files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import console, print_json, say

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig

app = typer.Typer(help="Check, show and describe pipeline files.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    indices: Annotated[
        list[str] | None, typer.Argument(help="Names of indices; all that are configured if none.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Connect to the engines too: do index, fields and limits fit?")
    ] = False,
    configs: Configs = None,
    server: Annotated[
        Path | None, typer.Option(help="Check this file of `rebridge serve --config` instead.", show_default=False)
    ] = None,
) -> None:
    """Check pipeline files.

    Every mistake is named with file, line, key and cure. With --live also what does not fit the index as it is: fields
    that it does not have or does not search by words, a rank window over its limit, an engine that is not well.

    \b
    Examples:
      rebridge config check
      rebridge config check docs --configs /etc/rebridge
      rebridge config check --live
      rebridge config check --server server.yaml
    """
    from rebridge.config_files import available, load_config
    from rebridge.errors import ConfigError, RebridgeError

    if server is not None:
        from rebridge.server.settings import load_settings

        load_settings(server)
        console().print(f"{server}: ok", markup=False)
        return
    failed = False
    for index in indices or sorted(available(configs)):
        try:
            config = load_config(index, configs)
            problems = _live(index, config, configs) if live else []
        except ConfigError as error:
            problems = [str(error)]
        except RebridgeError as error:
            problems = [f"{index}: {error}"]
        failed = failed or bool(problems)
        for problem in problems:
            say(problem)
        if not problems:
            console().print(f"{index}: ok", markup=False)
    if failed:
        raise typer.Exit(2)


def _live(index: str, config: PipelineConfig, configs: Path | None) -> list[str]:
    """What does not fit the index as it is, each on a line with the place of its key."""
    from rebridge.cli.probing import probe
    from rebridge.config_files import config_path
    from rebridge.yaml_source import read_yaml

    found, source = probe(index, config), read_yaml(config_path(index, configs))
    misfits = [f"{source.place(tuple(key.split('.', 1)))}: {key}: {problem}" for key, problem in found.misfits]
    return misfits + [f"{index}: {problem}" for problem in found.problems]


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
def schema(
    server: Annotated[bool, typer.Option("--server", help="Of the file of `rebridge serve --config`.")] = False,
) -> None:
    """Print the JSON Schema of pipeline files.

    Editors complete and check pipeline files with it.

    \b
    Example:
      rebridge config schema > configs/schema.json
      (then put this on a file's first line: # yaml-language-server: $schema=schema.json)
    """
    from rebridge import config
    from rebridge.server import settings

    print_json(settings.json_schema() if server else config.json_schema())
