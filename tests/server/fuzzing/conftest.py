"""Says how many requests were made."""

from __future__ import annotations

import pytest

from .amount import MADE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line, if there were any in this process."""
    if MADE:
        told = ", ".join(f"{name} {count}" for name, count in sorted(MADE.items()))
        terminalreporter.write_line(f"requests: {MADE.total()} ({told})")
