"""Running the commands on an index of the test's own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

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
    {"_id": "d", "note": "shoes without any passage", "lang": "fr", "year": 2023},
]


def rebridge(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command and check how it ends; a traceback is never all right."""
    done = subprocess.run([REBRIDGE, *arguments], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done


@dataclass(frozen=True)
class Place:
    """An engine and an index of the test's own."""

    engine: str
    url: str
    index: str

    def fill(self, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return rebridge("index", self.index, "docs.jsonl", *options, code=code)

    def fill_new(self) -> subprocess.CompletedProcess[str]:
        return self.fill("--engine", self.engine, "--url", self.url)

    def put(self, settings: dict[str, Any]) -> None:
        requests.put(f"{self.url}/{self.index}/_settings", json=settings, timeout=30).raise_for_status()
