"""Where tests fill an index: a source, an index in memory, and the files beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rebridge.ingest import IngestReport, ingest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class MemoryEngine:
    """An index in a dictionary that keeps count of what was added."""

    def __init__(self) -> None:
        self.documents: dict[str, Mapping[str, Any]] = {}
        self.batches: list[list[str]] = []

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        batch = dict(documents)
        self.documents |= batch
        self.batches.append(list(batch))
        return len(batch)

    def count(self) -> int:
        return len(self.documents)


class Workplace:
    """A source, an index and the two files beside them."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "docs.jsonl"
        self.rejects = folder / "out" / "rejects.jsonl"
        self.checkpoint = folder / "out" / "checkpoint.json"
        self.engine = MemoryEngine()

    def write(self, *lines: object) -> None:
        content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        self.source.write_text(content, encoding="utf-8")

    def run(self, **options: Any) -> IngestReport:
        options = {"batch_size": 3} | options
        paths = {"rejects_path": self.rejects, "checkpoint_path": self.checkpoint}
        return ingest(self.engine, self.source, **paths, **options)  # type: ignore[arg-type]

    def rejected(self) -> list[dict[str, Any]]:
        if not self.rejects.exists():
            return []
        return [json.loads(line) for line in self.rejects.read_text(encoding="utf-8").splitlines()]


def numbered(count: int) -> list[dict[str, int]]:
    """So many small documents."""
    return [{"id": number} for number in range(count)]


def facts(report: IngestReport) -> tuple[str, int, int, int, bool]:
    """A report without its time."""
    return report.beginning, report.added, report.rejected, report.skipped, report.complete
