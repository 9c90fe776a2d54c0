"""What an evaluation leaves in its folder: a run and a manifest for each variant; and measuring such runs again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError
from rebridge.evaluation.journal import Journal
from rebridge.evaluation.machine import machine, versions
from rebridge.evaluation.measures import Measure, evaluate_all
from rebridge.evaluation.model import Answer, Finding, Hit, Result, Topics
from rebridge.evaluation.runs import Manifest, manifest_path, read_manifest, read_run, write_manifest, write_run
from rebridge.evaluation.variants import FIRST_STAGE

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.evaluation.running import Bench, VariantRun

#: The file of scores and answers in an evaluation's folder.
DATABASE = "evaluation.sqlite"
_LONGEST_NAME = 80
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """What manifests say of a whole evaluation.

    Attributes:
        topics: where queries and judgements came from.
        seed: of tests and intervals.
    """

    topics: Mapping[str, Any]
    seed: int


def manifests(
    runs: Sequence[VariantRun], results: Sequence[Result], topics: Topics, bench: Bench, origin: Origin
) -> list[Manifest]:
    """How each run came about."""
    software, hardware, now = versions(), machine(), datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Manifest(
            variant=run.variant.name,
            rerank=run.variant.rerank,
            index=bench.index,
            config=plain(run.variant.config, bench.index),
            model={}
            if run.model is None
            else {"id": run.model.model, "revision": run.model.revision, "weights_sha256": run.model.weights},
            first_stage={"product": run.first_stage.product, "documents": run.first_stage.engine.count()},
            topics=origin.topics,
            queries=len(topics.queries),
            depth=bench.depth,
            measures={measure: result.mean(measure) for measure in result.values},
            not_applied=result.not_applied,
            versions=software,
            machine=hardware,
            date=now,
            seed=origin.seed,
        )
        for run, result in zip(runs, results, strict=True)
    ]


def plain(config: PipelineConfig, index: str) -> dict[str, Any]:
    """A pipeline as plain values; the connector's own model masks what is secret."""
    connector = {"name": config.connector.name, **config.connector_settings(index).model_dump(mode="json")}
    return {**config.model_dump(mode="json"), "connector": connector}


def save(
    folder: Path, runs: Sequence[VariantRun], told: Sequence[Manifest], topics: Topics, bench: Bench
) -> dict[str, Path]:
    """Write a run and a manifest for each variant; returns their names and files.

    Raises:
        ConfigError: if a run cannot hold an id.
        OSError: if a file cannot be written.
    """
    journal, files = Journal(bench.database), dict[str, Path]()
    for run, manifest in zip(runs, told, strict=True):
        path = folder / f"{file_name(run.variant.name)}.run"
        manifest_path(path).unlink(missing_ok=True)  # it must never stand beside another run, whatever fails
        write_run(path, journal.answers(run.key, topics.queries), run.variant.name)
        write_manifest(path, manifest)
        files[run.variant.name] = path
    return files


def file_name(variant: str) -> str:
    """A name that any file system takes, also one without upper case; different for different variants."""
    name = re.sub(r"[^\w.=-]+", "-", variant, flags=re.ASCII).strip("-.")
    if variant == FIRST_STAGE or (name == variant.lower() and len(name) <= _LONGEST_NAME):
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.blake2b(variant.encode(), digest_size=4).hexdigest()}"


def measured_run(path: Path, topics: Topics, measures: Sequence[Measure]) -> tuple[Result, list[Finding]]:
    """Measure a saved run, whose result is named after its file; what it and the queries do not share is told.

    Args:
        path: the run.
        topics: queries and judgements.
        measures: any but that of the rank window, since a run does not tell the window.

    Raises:
        ConfigError: if the file is no run, or its manifest says that it ends before a measure does.
    """
    hits, manifest = read_run(path), read_manifest(path)
    for measure in measures:
        if manifest is not None and (measure.cutoff or 0) > manifest.depth:
            raise ConfigError(
                f"{measure.name} looks at more ranks than {path} holds, which has --depth {manifest.depth}."
            )
    answers = (
        Answer(query, tuple(Hit(doc_id, score, rank) for rank, (doc_id, score) in enumerate(hits.get(query, ()), 1)))
        for query in topics.queries
    )
    values: dict[str, dict[str, float]] = {measure.name: {} for measure in measures}
    for query, of_query in evaluate_all(answers, topics.qrels, measures):
        for name, value in of_query.items():
            values[name][query] = value
    absent = [query for query in topics.queries if query not in hits]
    strange = [query for query in hits if query not in topics.queries]
    findings = [
        Finding(f"{path.name}: {what}", len(queries), tuple(queries[:_EXAMPLES]))
        for what, queries in (
            ("queries without hits, counted as 0", absent),
            ("queries of the run that are not evaluated", strange),
        )
        if queries
    ]
    not_applied = {} if manifest is None else manifest.not_applied
    return Result(str(path), values, not_applied=not_applied), findings
