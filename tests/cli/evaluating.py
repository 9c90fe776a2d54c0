"""Running ``rebridge eval`` in tests."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.errors import ConfigError, MissingExtra, RebridgeError

WORDS = ("red", "blue", "green", "old", "new", "wet")


def evaluate(*arguments: str, code: int = 0) -> Result:
    """Run a command, with errors turned into exit codes as `main` does."""
    done = CliRunner().invoke(app, ["eval", *arguments])
    if isinstance(done.exception, (ConfigError, MissingExtra)):
        assert code == 2, done.exception
    elif isinstance(done.exception, RebridgeError):
        assert code == 1, done.exception
    else:
        assert done.exit_code == code, done.output
    return done


def figures(*arguments: str, code: int = 0) -> dict[str, Any]:
    """What --format json prints."""
    shown = evaluate("docs", "--data", "data", "--timed", "0", *arguments, "--format", "json", code=code)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found
