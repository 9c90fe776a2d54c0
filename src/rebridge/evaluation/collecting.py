"""Asking every variant every query, and keeping what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rebridge.errors import ConnectorError
from rebridge.evaluation.journal import Journal, query_key
from rebridge.evaluation.model import Answer, Hit
from rebridge.evaluation.score_store import StoredScorer
from rebridge.evaluation.shared_fetch import Found, SharedFetch

if TYPE_CHECKING:
    from rebridge.evaluation.running import Bench, VariantRun


def collect(
    runs: Sequence[VariantRun], queries: Mapping[str, str], bench: Bench, tell: Callable[[int, int], None]
) -> None:
    """Ask what has not been answered yet.

    Args:
        runs: the variants.
        queries: id -> text.
        bench: what `rebridge.evaluation.running.prepare` was given.
        tell: told how many of the missing answers are there, and how many were missing.

    Raises:
        ConnectorError: if a query gets no answer from the first stage; what was answered before is kept.
        ScorerError: if a model cannot be loaded.
    """
    journal = Journal(bench.database)
    done = {run.key: journal.done(run.key) for run in runs}
    distinct = list({run.key: run for run in runs}.values())
    keys = [query_key(query_id, text) for query_id, text in queries.items()]
    total, asked = sum(key not in done[run.key] for run in distinct for key in keys), 0
    tell(asked, total)
    if not total:
        return
    scorers = {run.key: _scorer(run, bench) for run in distinct if not done[run.key].issuperset(keys)}
    for (query_id, text), key in zip(queries.items(), keys, strict=True):
        missing = [run for run in distinct if key not in done[run.key]]
        if missing:
            journal.put(text, _answers(missing, query_id, text, bench.depth, scorers))
            tell(asked := asked + len(missing), total)


def _scorer(run: VariantRun, bench: Bench) -> StoredScorer | None:
    """The model behind the stored scores; it is loaded when one is needed that is not stored."""
    if run.model is None:
        return None
    section = run.variant.config.scorer
    return StoredScorer(lambda: bench.models(section), bench.database, run.model.key, run.model.model)


def _answers(
    runs: Sequence[VariantRun], query_id: str, text: str, depth: int, scorers: Mapping[bytes, StoredScorer | None]
) -> Iterator[tuple[bytes, Answer]]:
    """What each variant answers, from one request for each first stage."""
    for first_stage in {id(run.first_stage): run.first_stage for run in runs}.values():
        own = [run for run in runs if run.first_stage is first_stage]
        try:
            request = first_stage.request(query_id, text, depth)
            shared = SharedFetch(first_stage.engine, request, [run.pipeline for run in own])
            for run in own:
                scorer = scorers[run.key]
                found = shared.search(run.pipeline, scorer, rerank=run.variant.rerank)
                if scorer is not None and scorer.broken is not None:
                    raise scorer.broken  # no reason to degrade every query
                yield run.key, _answer(query_id, found, rerank=run.variant.rerank)
        except ConnectorError as error:
            raise ConnectorError(f"The query {query_id!r} cannot be answered: {error}") from error


def _answer(query_id: str, found: Found, *, rerank: bool) -> Answer:
    summary = found.outcome.summary
    hits = tuple(
        Hit(hit.candidate.doc_id, hit.score, hit.candidate.rank, hit.rerank_score) for hit in found.outcome.page
    )
    window = tuple(candidate.doc_id for candidate in found.window)
    # The first stage alone is not asked to rerank, which is no reason to mention.
    status, reason = (summary.status, summary.reason) if rerank else ("applied", None)
    return Answer(query_id, hits, window, status, reason if status != "applied" else None)
