"""Running the commands on an index of the test's own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

import requests
from tests.shop import rebridge


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
