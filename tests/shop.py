"""A user's own home with a tiny shop's documents, and commands that run there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

REBRIDGE = str(Path(sys.executable).with_name("rebridge"))
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "title": "Red shoes", "text": "Soft leather shoes in red.", "lang": "en", "year": 2020},
    {
        "_id": "b",
        "title": "Blue hat",
        "text": "A hat that keeps the rain off. Not for shoes.",
        "lang": "en",
        "year": 2021,
    },
    {"_id": "c", "title": "Rote Schuhe", "text": "Weiches Leder; shoes auf Deutsch.", "lang": "de", "year": 2022},
]
WITHOUT_PASSAGE: dict[str, Any] = {"_id": "d", "note": "shoes without any passage", "lang": "fr", "year": 2023}


def move_in(folder: Path, monkeypatch: pytest.MonkeyPatch, documents: Sequence[dict[str, Any]]) -> Path:
    """Make a folder the user's home and the working folder, with a file of documents in it."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(folder)
    (folder / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    return folder


def rebridge(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command and check how it ends; a traceback is never all right."""
    done = subprocess.run([REBRIDGE, *arguments], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done
