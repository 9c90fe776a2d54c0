"""The command line: one file per command. Heavy imports happen inside the commands, so that help is quick."""

from __future__ import annotations

import os
import sys

import typer

from rebridge.cli import config, demo, doctor, evaluate, explain, index, models, native, search, serve, tune, warm
from rebridge.cli.output import EXIT_CODES, fail
from rebridge.errors import ConfigError, MissingExtra, RebridgeError

app = typer.Typer(
    name="rebridge",
    help="Semantic reranking behind the keyword search engine you already run.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich takes longer to import than help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(index.index)
app.command()(warm.warm)
app.command()(search.search)
app.command()(explain.explain)
app.add_typer(evaluate.app, name="eval")
app.command()(tune.tune)
app.command()(serve.serve)
app.add_typer(native.app, name="native")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.command()(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"rebridge {version('rebridge')}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake gives a message and an exit code, never a traceback."""
    try:
        app()
    except (ConfigError, MissingExtra) as error:
        sys.exit(fail(error, 2))
    except RebridgeError as error:
        sys.exit(fail(error, 1))
    except BrokenPipeError:  # `rebridge search ... | head` is no mistake; nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # a folder that cannot be written, a full disk
        sys.exit(fail(error, 1))
