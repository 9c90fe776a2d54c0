"""What the bench scripts share: where they ran, collections in BEIR layout, engines, and how they print."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebridge.connector import Engine

PACKAGES = ("rebridge", "torch", "transformers", "tantivy")
#: The collections that tables show.
SIX = ("scifact", "chorus_electronics", "aws_docs", "cranfield", "vaswani_npl", "cacm")
EMBEDDED = "tantivy"
BATCH = 1000


def machine() -> dict[str, Any]:
    """The machine and the versions that a figure was measured with."""
    import torch

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "extensions": [flag for flag in flags if flag.startswith(("avx2", "avx512", "amx"))],
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


@dataclass(frozen=True, slots=True)
class Collection:
    """A retrieval collection in BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def documents(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Ids and fields."""
        for record in _jsonl(self.folder / "corpus.jsonl"):
            yield record["_id"], {"title": record.get("title", ""), "text": record["text"]}

    def qrels(self) -> dict[str, dict[str, int]]:
        """Query id -> document id -> grade."""
        qrels: dict[str, dict[str, int]] = {}
        with (self.folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as lines:
            for query, document, grade in list(csv.reader(lines, delimiter="\t"))[1:]:
                qrels.setdefault(query, {})[document] = int(grade)
        return qrels

    def queries(self, limit: int | None = None) -> dict[str, str]:
        """Query id -> text, for the first ``limit`` judged queries."""
        judged = self.qrels()
        queries = {record["_id"]: record["text"] for record in _jsonl(self.folder / "queries.jsonl")}
        return dict([(key, text) for key, text in queries.items() if key in judged][:limit])


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def collections(data: Path | None, names: Sequence[str]) -> list[Collection]:
    """The collections to use, or an exit that says how to point to them."""
    place = data or (Path(os.environ["REBRIDGE_DATA"]) if "REBRIDGE_DATA" in os.environ else None)
    if place is None:
        sys.exit("error: no collections: give --data DIR or set REBRIDGE_DATA (folders in BEIR layout)")
    found = {path.parent.name: Collection(path.parent) for path in sorted(place.glob("*/corpus.jsonl"))}
    missing = [name for name in names if name not in found]
    if missing or not found:
        sys.exit(f"error: {place} holds no collection {', '.join(missing)}; it has: {', '.join(found) or 'none'}")
    return [found[name] for name in names or found]


def add_engines(parser: argparse.ArgumentParser) -> None:
    """The option ``--engines``."""

    def engine(text: str) -> str:
        if text != EMBEDDED and "=" not in text:
            raise argparse.ArgumentTypeError(f"takes {EMBEDDED} or NAME=URL, not {text}")
        return text

    what = "running engines, tantivy for the embedded one (default: the embedded one)"
    parser.add_argument("--engines", nargs="+", metavar="NAME=URL", type=engine, default=[EMBEDDED], help=what)


def connector(engine: str, name: str, folder: Path, analyzer: str | None = None) -> dict[str, Any]:
    """The connector section of a collection's index; the embedded engine keeps its own in the folder."""
    kind, _, url = engine.partition("=")
    section: dict[str, Any] = {"name": kind, "fields": {"title": "text", "text": "text"}}
    if kind == EMBEDDED:
        return {**section, "path": str(folder / "index")}
    chosen = {"analyzer": analyzer} if analyzer else {}
    return {**section, **chosen, "url" if kind == "solr" else "hosts": url, "index": index_name(name)}


def index_name(name: str) -> str:
    """What a collection's index is called in every engine."""
    return f"rebridge_bench_{name}"


def filled(engine: Engine[Any, Any], collection: Collection) -> int:
    """Put the documents into the index, unless they are there; returns how many there are."""
    documents = list(collection.documents())
    if engine.count() != len(documents):
        for start in range(0, len(documents), BATCH):
            engine.add(documents[start : start + BATCH])
    return engine.count()


def report(rows: Sequence[Mapping[str, Any]], *, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print rows: one JSON object with machine and versions (and what else is given), or a Markdown table."""
    if as_json:
        json.dump({"machine": machine(), **(more or {}), "rows": list(rows)}, sys.stdout, indent=2)
        print()
        return
    print(" ".join(f"{key}={value}" for key, value in machine().items()) + "\n")
    table(rows)


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a Markdown table."""
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print(
            "| "
            + " | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
            + " |"
        )
