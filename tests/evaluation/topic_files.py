from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ConfigError
from rebridge.evaluation.topics import load_topics

if TYPE_CHECKING:
    from pathlib import Path

    from rebridge.evaluation.model import Topics

QUERIES = "q1\tred boots\nq2\tblue hat\n"
QRELS = "q1 0 d1 1\nq1 0 d2 0\nq2 0 d3 2\n"


def put(folder: Path, name: str, content: str | bytes) -> Path:
    """Make a file and the folders that it needs."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(
    folder: Path,
    queries: str | bytes = QUERIES,
    qrels: str | bytes = QRELS,
    *,
    names: tuple[str, str] = ("queries.txt", "qrels.txt"),
    **options: Any,
) -> Topics:
    """Topics of two files."""
    return load_topics(queries=put(folder, names[0], queries), qrels=put(folder, names[1], qrels), **options)


def refused(folder: Path, *contents: str | bytes, **options: Any) -> str:
    """What the error about two files says."""
    with pytest.raises(ConfigError) as raised:
        load(folder, *contents, **options)
    return str(raised.value)
