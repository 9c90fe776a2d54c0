"""What the engine and the model said about each query, collected once; and any setting's ranking out of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rebridge import fusion
from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError, ConnectorError, ScorerError
from rebridge.evaluation.running import DEPTH, Bench
from rebridge.evaluation.score_store import StoredScorer
from rebridge.evaluation.shared_fetch import SharedFetch
from rebridge.evaluation.tuning.space import Setting
from rebridge.flow import Outcome
from rebridge.models import RankedHit, Summary
from rebridge.passages import PassageTemplate

#: Called after each query with how many are done.
Progress = Callable[[int], None]
#: What the flow says if no hit has any text.
_TEXTLESS = "no_passages"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that any ranking of a query can be computed from.

    Attributes:
        query_id: the query.
        doc_ids: the first stage's hits in its order, at least to `DEPTH` and the widest rank window.
        first_stage: their scores.
        rerank: passage template -> the model's pooled raw scores of the first hits, up to this template's widest rank
            window; None for one that was not scored.
        textless: passage templates that make no text of any of the hits.
    """

    query_id: str
    doc_ids: tuple[str, ...]
    first_stage: tuple[float, ...]
    rerank: Mapping[PassageTemplate, tuple[float | None, ...]]
    textless: frozenset[PassageTemplate] = frozenset()


def collect(
    bench: Bench,
    config: PipelineConfig,
    queries: Mapping[str, str],
    widest: Mapping[PassageTemplate, int],
    on_progress: Progress = lambda _: None,
) -> list[Evidence]:
    """Ask the engine once, and the model once per passage template, for every query, on the path that serves.

    Scores are kept in the bench's database, so that the same call resumes after an interruption.

    Args:
        bench: what is measured on.
        config: the pipeline; its own rank window, passage and fusion do not matter.
        queries: id -> text.
        widest: passage template -> the widest rank window that it is tried with.
        on_progress: told after each query.

    Raises:
        ConnectorError: if the engine fails, or refuses the widest rank window.
        ScorerError: if the model does: figures with such queries in them would be wrong.
    """
    first_stage = bench.first_stages(config)
    # Failures are noticed below, whatever the pipeline does about them.
    quiet = {"on_error": "degrade", "deadline_ms": None, "min_rerank_score": None, "annotate": "none"}
    pipelines = {
        passage: config.model_copy(update={**quiet, "passage": passage, "rank_window": window}).pipeline(
            bench.index, first_stage.connector
        )
        for passage, window in widest.items()
    }
    opened = bench.models(config.scorer)  # one that cannot be opened is no failure of the first query
    scorer = StoredScorer(lambda: opened, bench.database, bench.identify(config.scorer).key, config.scorer.model)
    size, collected = max(DEPTH, *widest.values()), []
    for done, (query_id, text) in enumerate(queries.items(), start=1):
        request = first_stage.request(query_id, text, size)
        shared = SharedFetch(first_stage.engine, request, list(pipelines.values()))
        outcomes = {passage: shared.search(pipeline, scorer).outcome for passage, pipeline in pipelines.items()}
        collected.append(_evidence(query_id, outcomes, widest))
        on_progress(done)
    return collected


def _evidence(
    query_id: str, outcomes: Mapping[PassageTemplate, Outcome[Any]], widest: Mapping[PassageTemplate, int]
) -> Evidence:
    hits: list[RankedHit] = []
    rerank: dict[PassageTemplate, tuple[float | None, ...]] = {}
    for passage, outcome in outcomes.items():
        _check(outcome.summary, query_id, widest[passage])
        hits = sorted(outcome.page, key=lambda hit: hit.candidate.rank)
        rerank[passage] = tuple(hit.rerank_score for hit in hits[: widest[passage]])
    ids, scores = (hit.candidate.doc_id for hit in hits), (hit.candidate.score for hit in hits)
    textless = frozenset(passage for passage, outcome in outcomes.items() if outcome.summary.reason == _TEXTLESS)
    return Evidence(query_id, tuple(ids), tuple(scores), rerank, textless)


def _check(summary: Summary, query_id: str, window: int) -> None:
    if summary.status != "degraded" or summary.reason == _TEXTLESS:
        return
    if summary.detail is not None:  # what the scorer said; an engine that refuses says nothing here
        raise ScorerError(f"The query {query_id!r} could not be scored ({summary.reason}): {summary.detail}")
    raise ConnectorError(
        f"The engine does not answer the query {query_id!r} for a rank window of {window} ({summary.reason}). Ask for "
        "narrower --windows, or raise the index's own limits (index.max_result_window)."
    )


def without_text(evidence: Sequence[Evidence]) -> dict[PassageTemplate, int]:
    """Passage template -> how many queries it makes no text for, so that they keep the first stage's order.

    Raises:
        ConfigError: if a template makes text for no query at all.
    """
    counts = Counter(passage for found in evidence for passage in found.textless)
    for passage in counts:
        if all(score is None for found in evidence for score in found.rerank[passage]):
            raise ConfigError(
                f"The passage template {passage.template!r} makes no text of any hit of any query: its fields are "
                f"{', '.join(passage.fields)}. Name fields that the documents have."
            )
    return dict(counts)


def ranking(evidence: Evidence, setting: Setting, threshold: float | None = None) -> tuple[str, ...]:
    """The ids in the order that the pipeline with this setting gives, `DEPTH` at most.

    Args:
        evidence: what engine and model said.
        setting: the passage template must be one of the evidence's, the rank window not above its widest.
        threshold: the pipeline's ``min_rerank_score``.
    """
    rerank = evidence.rerank[setting.passage][: setting.rank_window]
    if all(score is None for score in rerank):
        return evidence.doc_ids[:DEPTH]  # a degraded search, to which no threshold applies
    first_stage = evidence.first_stage[: len(rerank)]
    places: Sequence[int] = fusion.order(fusion.fuse(setting.fusion, first_stage, rerank), rerank)
    if threshold is not None:
        places = [place for place in places if (score := rerank[place]) is not None and score >= threshold]
    head = tuple(evidence.doc_ids[place] for place in places[:DEPTH])
    return head if threshold is not None else head + evidence.doc_ids[len(rerank) : DEPTH]
