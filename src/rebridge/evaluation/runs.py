"""Runs on disk: the ranking of every query in TREC's format, and beside it a manifest of how it came about."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from rebridge.errors import ConfigError
from rebridge.evaluation.model import Answer

#: The columns: query, the word Q0, document, rank, score, tag.
_COLUMNS = 6
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a run came about, as plain values that go into JSON.

    Attributes:
        variant: its name in tables.
        rerank: whether it was reranked.
        index: the index that was searched.
        config: the pipeline, its secrets masked.
        model: id, revision and SHA-256 of the weights; empty without reranking.
        first_stage: the engine's product and version, and how many documents the index held.
        topics: where queries and judgements came from, as the options of ``rebridge eval`` that name them.
        queries: how many.
        depth: most hits of a query.
        measures: measure -> mean.
        not_applied: reason -> how many queries were not reranked.
        versions: package -> version.
        machine: processor, memory and accelerator.
        date: when it was written, ISO 8601 in UTC.
        seed: of tests and intervals.
    """

    variant: str
    rerank: bool
    index: str
    config: Mapping[str, Any]
    model: Mapping[str, Any]
    first_stage: Mapping[str, Any]
    topics: Mapping[str, Any]
    queries: int
    depth: int
    measures: Mapping[str, float]
    not_applied: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    seed: int = 0


def write_run(path: Path, answers: Iterable[Answer], tag: str) -> None:
    """Write a run, whole or not at all: lines of ``query Q0 document rank score tag``.

    Tabs stand between the columns, so that ids may hold spaces; other programs read that too, but for such ids. Scores
    never rise with the rank.

    Raises:
        ConfigError: if an id holds a tab, a line break or a lone surrogate.
        OSError: if the file cannot be written.
    """
    label = "-".join(tag.split())
    with replacing(path) as file:
        for answer in answers:
            for rank, hit in enumerate(answer.hits, start=1):
                line = "\t".join((answer.query_id, "Q0", hit.doc_id, str(rank), repr(hit.score), label))
                if line.count("\t") != _COLUMNS - 1 or len(line.splitlines()) != 1 or _SURROGATE.search(line):
                    where = f"the hit {hit.doc_id!r} of the query {answer.query_id!r}"
                    raise ConfigError(f"A run cannot hold ids with tabs, line breaks or broken characters: {where}.")
                file.write(line + "\n")


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Read a run in TREC's format.

    Returns:
        Query id -> (document id, score), the best score first, equal ones by rank.

    Raises:
        ConfigError: names the file and the line that is no line of a run, or that a document is there twice.
    """
    hits: dict[str, dict[str, tuple[float, int]]] = {}
    for number, line in _lines(path):
        query, doc_id, score, rank = _hit(line, f"{path}:{number}")
        ranking = hits.setdefault(query, {})
        if doc_id in ranking:
            raise ConfigError(f"{path}:{number}: the query {query} has the document {doc_id!r} twice. Remove one.")
        ranking[doc_id] = (-score, rank)
    if not hits:
        raise ConfigError(f"{path} holds no hits.")
    return {
        query: [(doc_id, -ranking[doc_id][0]) for doc_id in sorted(ranking, key=ranking.__getitem__)]
        for query, ranking in hits.items()
    }


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _hit(line: str, place: str) -> tuple[str, str, float, int]:
    columns = line.split("\t") if line.count("\t") == _COLUMNS - 1 else line.split()
    try:
        query, _, doc_id, rank, score, _ = columns
        number = float(score)
        if not math.isfinite(number):
            raise ValueError(score)
        return query, doc_id, number, int(rank)
    except ValueError as error:
        raise ConfigError(f"{place}: not a line of a run: `query Q0 document rank score tag`, not {line!r}") from error


def manifest_path(run: Path) -> Path:
    """Where the manifest of a run is."""
    return run.with_name(f"{run.name}.manifest.json")


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Write the manifest of a run beside it, whole or not at all."""
    with replacing(manifest_path(run)) as file:
        json.dump(asdict(manifest), file, ensure_ascii=False, indent=2, default=str)
        file.write("\n")


def read_manifest(run: Path) -> Manifest | None:
    """The manifest of a run; None if there is none.

    Raises:
        ConfigError: if it cannot be read.
    """
    path = manifest_path(run)
    if not path.is_file():
        return None
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not a manifest of this version of rebridge: {error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes the place of ``path`` once it is written; if that fails, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
