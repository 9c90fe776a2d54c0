"""Measuring variants of a pipeline on judged queries, along the path that serves."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError
from rebridge.evaluation.collecting import collect
from rebridge.evaluation.journal import Journal
from rebridge.evaluation.measures import Measure, evaluate_all
from rebridge.evaluation.model import Answer, Finding, Result, Times, Topics, Variant
from rebridge.evaluation.models import section_key
from rebridge.evaluation.probing import PROBES, Probes
from rebridge.evaluation.timing import timed_searches
from rebridge.scorers.fingerprint import Fingerprint, fingerprint

if TYPE_CHECKING:
    from rebridge.config import ScorerSection
    from rebridge.evaluation.database import Database
    from rebridge.evaluation.first_stages import FirstStage, FirstStages
    from rebridge.evaluation.models import Models
    from rebridge.pipeline import Pipeline

#: Most hits of a query that are measured.
DEPTH = 100
#: How many queries are timed.
TIMED = 50
#: Begins the reasons of `Result.not_applied` that make a variant's figures invalid.
DEGRADED = "degraded: "
#: What a pipeline says that changes no ranking, or is not in force while rankings are collected.
_HARMLESS = {"also", "annotate", "connector", "deadline_ms", "fallbacks", "on_error", "overrides", "query_fields"}
_HARMLESS |= {"query_path", "rerank_also"}

#: Called with what is being done (``queries`` or ``timed searches``), how many are done, and how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What variants are measured on.

    Attributes:
        index: the index, for messages.
        first_stages: gives the first stage of a pipeline.
        models: gives the model of a pipeline.
        database: keeps scores and answers.
        depth: most hits of a query.
        identify: what stands for a model; reads its files by default.
    """

    index: str
    first_stages: FirstStages
    models: Models
    database: Database
    depth: int = DEPTH
    identify: Callable[[ScorerSection], Fingerprint] = fingerprint


@dataclass(frozen=True, slots=True)
class VariantRun:
    """A variant, ready to be asked.

    Attributes:
        variant: as given.
        pipeline: as while rankings are collected: without a deadline, since a score that is looked up takes no time,
            and without notes in replies; failures are counted instead of raised.
        first_stage: where its hits come from.
        model: which model scores; None without reranking.
        key: under which its answers are kept: equal only where they must be the same.
    """

    variant: Variant
    pipeline: Pipeline
    first_stage: FirstStage
    model: Fingerprint | None
    key: bytes


def prepare(
    variants: Sequence[Variant],
    bench: Bench,
    queries: Mapping[str, str] = MappingProxyType({}),
    note: Callable[[Finding], None] = lambda _finding: None,
) -> list[VariantRun]:
    """Open the variants' first stages and look at their models, without loading one.

    Args:
        variants: what to measure.
        bench: what to measure it on.
        queries: id -> text; the first stages are asked some of them, so that answers of an index that has changed since
            are not taken for its answers now; see `rebridge.evaluation.probing`.
        note: told of stored answers that were deleted for that reason.

    Raises:
        ConfigError: if there are none, or two have the same name.
        ConnectorError: if an index cannot be opened.
        ModelNotFound: if a model is nowhere.
    """
    names = Counter(variant.name for variant in variants)
    if not variants or max(names.values()) > 1:
        raise ConfigError(f"Variants need names of their own: {', '.join(names) or 'there are none'}.")
    known: dict[str, Fingerprint] = {}
    probes, generations = Probes(bench.database, bench.depth, note), dict[str, str]()
    runs = []
    for variant in variants:
        first_stage, config = bench.first_stages(variant.config), variant.config
        stage = first_stage.identity
        if stage not in generations:
            generations[stage] = probes.generation(first_stage, sample(queries, PROBES))
        model = None
        if variant.rerank:
            section = section_key(config.scorer)
            model = known[section] = known.get(section) or bench.identify(config.scorer)
        pipeline = config.pipeline(bench.index, first_stage.connector)
        quiet = replace(pipeline, on_error="degrade", deadline_s=None, annotate="none")
        key = _key(variant, stage + generations[stage], model, bench.depth)
        probes.belongs(key, first_stage)
        runs.append(VariantRun(variant, quiet, first_stage, model, key))
    return runs


def evaluate_variants(  # noqa: PLR0913 - keyword options of a public entry point
    runs: Sequence[VariantRun],
    topics: Topics,
    bench: Bench,
    *,
    measures: Sequence[Measure],
    timed: int = TIMED,
    on_progress: Progress | None = None,
) -> list[Result]:
    """Ask every variant every query, and measure what they answer.

    Variants share one request to the first stage for each query, and each score is computed once. Answers and scores
    go to the bench's database query by query, so that memory does not grow with the queries but for the measures'
    values, and the same call resumes after an interruption. Latency is measured apart, on the path that serves; see
    `rebridge.evaluation.timing`.

    Args:
        runs: from `prepare`.
        topics: queries and judgements.
        bench: what `prepare` was given.
        measures: from `rebridge.evaluation.measures.parse_measures`.
        timed: how many queries are timed; 0 for none.
        on_progress: told how far it is.

    Returns:
        One result for each run, in their order. Reasons of ``not_applied`` begin with ``bypassed:``, for queries that
        pass through when the pipeline serves too, or with `DEGRADED`.

    Raises:
        ConnectorError: if a query gets no answer from the first stage.
        ScorerError: if a model cannot be loaded.
    """
    tell = on_progress or (lambda _what, _done, _total: None)
    journal = Journal(bench.database)
    collect(runs, topics.queries, bench, partial(tell, "queries"))
    times = timed_searches(runs, sample(topics.queries, timed), bench.models, partial(tell, "timed searches"))
    results = []
    for run in runs:
        values, not_applied = _measured(journal.answers(run.key, topics.queries), topics, measures)
        of_run, late = times.get(run.variant.name, (Times(), Counter[str]()))
        results.append(Result(run.variant.name, values, of_run, dict(not_applied + late)))
    return results


def invalid(result: Result) -> Mapping[str, int]:
    """Why a variant's figures are not those of its pipeline: reason -> queries; empty if they are."""
    return {reason: count for reason, count in result.not_applied.items() if reason.startswith(DEGRADED)}


def _measured(
    answers: Iterable[Answer], topics: Topics, measures: Sequence[Measure]
) -> tuple[dict[str, dict[str, float]], Counter[str]]:
    """Measure -> query -> value, and how many queries were not reranked, by reason."""
    not_applied: Counter[str] = Counter()

    def noted() -> Iterator[Answer]:
        for answer in answers:
            if answer.status != "applied":
                not_applied[f"{answer.status}: {answer.reason}"] += 1
            yield answer

    values: dict[str, dict[str, float]] = {measure.name: {} for measure in measures}
    for query_id, of_query in evaluate_all(noted(), topics.qrels, measures):
        for name, value in of_query.items():
            values[name][query_id] = value
    return values, not_applied


def sample(queries: Mapping[str, str], count: int) -> dict[str, str]:
    """So many queries, evenly spread."""
    given = list(queries.items())
    count = min(count, len(given))
    return dict(given[number * len(given) // count] for number in range(count))


def _key(variant: Variant, first_stage: str, model: Fingerprint | None, depth: int) -> bytes:
    config = variant.config
    # Without reranking nothing counts but the window, whose recall is measured.
    own = config.model_dump(mode="json", exclude=_HARMLESS | {"scorer"}) if variant.rerank else config.rank_window
    reading = (config.query_path, sorted(config.rerank_also)) if variant.rerank else None
    whole = repr((own, reading, first_stage, model and model.key, depth))
    return hashlib.blake2b(whole.encode(), digest_size=16).digest()
