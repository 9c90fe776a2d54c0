"""The table of faults in the documentation is the list of these tests."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "server.md"
MODULES = ("engine", "scorer", "client", "request", "process")


def rows() -> list[str]:
    """A row for each fault: the test's name, and its docstring, which says what the client sees."""
    tests = [
        node
        for module in MODULES
        for node in ast.parse((HERE / f"test_{module}_faults.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return [f"| {test.name.removeprefix('test_').replace('_', ' ')} | {ast.get_docstring(test)} |" for test in tests]


def test_every_fault_stands_in_the_documentation() -> None:
    """Each fault has its row, with what the client sees, in the order of the tests, and no row is without a test."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("\n## Faults, and what a client sees\n")
    told = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert told[2:] == rows()


def test_there_are_many_faults() -> None:
    """No less than twenty faults have a test."""
    assert len(rows()) >= 20
