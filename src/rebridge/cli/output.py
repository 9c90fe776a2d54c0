"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

EXIT_CODES = (
    "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; "
    "3 done with losses (degraded answer, rejected documents, problems found); 130 interrupted."
)
#: The exit code of a command that did its work, but not all of it.
PARTLY = 3


def console(*, stderr: bool = False) -> Console:
    """A rich console; plain text where the stream is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(message: str) -> None:
    """A note for the person at the terminal, on standard error."""
    console(stderr=True).print(message, markup=False, soft_wrap=True)


def fail(error: object, code: int) -> int:
    """Print an error on standard error and give back the exit code."""
    console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    return code


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
