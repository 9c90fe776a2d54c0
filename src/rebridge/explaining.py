"""Finding out why a document stands where it does, through the production path and the engine's public face."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rebridge.drivers import run
from rebridge.errors import ConnectorError, ScorerError
from rebridge.explanation import Explanation, Judgement, Neighbour
from rebridge.passages import PassageTemplate
from rebridge.scorers.base import activate
from rebridge.searcher import Searcher
from rebridge.steps import Score

if TYPE_CHECKING:
    from rebridge.flow import Outcome
    from rebridge.models import Candidate, RankedHit
    from rebridge.scorers import Scorer

#: How many hits of the first stage are looked at, if nobody says otherwise: where engines end by default.
DEPTH = 10_000
#: Hits in one request of a search that goes deep.
_STEP = 1000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be explained, and the answer as far as the rank window reaches, with nothing removed from it."""

    searcher: Searcher
    query: str
    doc_id: str
    filters: Mapping[str, Any]
    depth: int
    outcome: Outcome[Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What every explanation says."""
        pipeline, summary = self.searcher.pipeline, self.outcome.summary
        return {
            "index": pipeline.index,
            "query": self.query,
            "doc_id": self.doc_id,
            "status": summary.status,
            "reason": summary.reason,
            "rank_window": pipeline.rank_window,
            "in_window": len(self.outcome.page),
            "fusion": pipeline.fusion.method,
            "min_rerank_score": pipeline.min_rerank_score,
            "query_fields": tuple(self.searcher.query_fields),
        }


def explain(
    searcher: Searcher, query: str, doc_id: str, *, filters: Mapping[str, Any] | None = None, depth: int = DEPTH
) -> Explanation:
    """Why a document stands where it does in the answer to a query, or why it is not there.

    Args:
        searcher: the index, opened with its model.
        query: what the user typed.
        doc_id: the engine's id of the document.
        filters: as in `Searcher.search`.
        depth: how many hits of the first stage to look at for a document that is not in the rank window; at least as
            many as that holds.

    Raises:
        ConnectorError: if the engine cannot answer.
        ScorerError: if the model fails and the pipeline says ``on_error: raise``.
    """
    limit = _limit(searcher)
    # A copy that removes nothing; it holds nothing to close.
    whole = Searcher(
        replace(searcher.pipeline, min_rerank_score=None), searcher.engine, searcher.scorer, searcher.query_fields
    )
    size = min(searcher.pipeline.rank_window, limit)
    outcome = whole.search(query, size=size, filters=filters)
    asked = _Asked(searcher, query, doc_id, filters or {}, min(max(depth, size), limit), outcome)
    for position, hit in enumerate(outcome.page):
        if hit.candidate.doc_id == doc_id:
            return _in_window(asked, position)
    return _elsewhere(asked)


def _limit(searcher: Searcher) -> int:
    """How deep the engine lets anybody look, as far as it tells."""
    try:
        return searcher.engine.facts().max_window or sys.maxsize
    except ConnectorError:  # it may be told to nobody but administrators; searches answer all the same
        return sys.maxsize


def _in_window(asked: _Asked, position: int) -> Explanation:
    hits, threshold = asked.outcome.page, asked.searcher.pipeline.min_rerank_score
    hit, terms = hits[position], asked.outcome.terms[position]
    removed = terms is not None and _below(hit, threshold)
    kept_above = [number for number in range(position) if terms is None or not _below(hits[number], threshold)]
    above = asked.outcome.terms[kept_above[-1]] if kept_above else None
    return Explanation(
        **asked.facts,
        verdict="removed" if removed else "shown",
        looked_at=len(hits),
        rank=None if removed else len(kept_above) + 1,
        score=None if removed else hit.score,
        first_stage_rank=hit.candidate.rank,
        first_stage_score=hit.candidate.score,
        first_stage_share=None if terms is None else terms.first_stage,
        rerank_share=None if terms is None else terms.rerank,
        judgement=_judgement(asked, hit.candidate.source, hit),
        above=None
        if above is None or removed
        else Neighbour(hits[kept_above[-1]].candidate.doc_id, above.first_stage, above.rerank),
    )


def _elsewhere(asked: _Asked) -> Explanation:
    """Where a document is that is not in the rank window."""
    source = asked.searcher.engine.get(asked.doc_id)
    if source is None:
        return Explanation(**asked.facts, verdict="absent", looked_at=len(asked.outcome.page))
    found, looked_at, ended = _look(asked, asked.filters)
    judgement = _judgement(asked, source)
    if found is not None:
        hidden = asked.searcher.pipeline.min_rerank_score is not None and asked.outcome.summary.status == "applied"
        inside = found.rank <= asked.searcher.pipeline.rank_window  # of a search that was not reranked
        return Explanation(
            **asked.facts,
            verdict="shown" if inside else "outside_window",
            looked_at=looked_at,
            rank=None if hidden else found.rank,
            first_stage_rank=found.rank,
            first_stage_score=found.score,
            judgement=judgement,
        )
    free = _look(asked, {})[0] if asked.filters else None
    if free is not None:
        return Explanation(
            **asked.facts,
            verdict="filtered",
            looked_at=looked_at,
            first_stage_rank=free.rank,
            first_stage_score=free.score,
            judgement=judgement,
            removed_by={name: _text(source, name) for name in _culprits(asked, free.rank)},
        )
    return Explanation(
        **asked.facts,
        verdict="not_matched" if ended else "too_deep",
        looked_at=looked_at,
        judgement=judgement,
        shared_words=_shared(asked.query, source),
    )


def _look(asked: _Asked, filters: Mapping[str, Any], depth: int | None = None) -> tuple[Candidate | None, int, bool]:
    """The document among the first stage's hits; how many were looked at, and whether there are no more."""
    depth, looked_at = depth or asked.depth, 0
    while looked_at < depth:
        size = min(_STEP, depth - looked_at)
        page = asked.searcher.search(asked.query, offset=looked_at, size=size, filters=filters, rerank=False).page
        for hit in page:
            if hit.candidate.doc_id == asked.doc_id:
                return hit.candidate, hit.candidate.rank, False
        looked_at += len(page)
        if len(page) < size:
            return None, looked_at, True
    return None, looked_at, False


def _culprits(asked: _Asked, rank: int) -> list[str]:
    """The filters that keep a document out each by itself; it stands at ``rank`` without any."""
    # A filter leaves hits out and never moves one down.
    return [name for name, value in asked.filters.items() if _look(asked, {name: value}, rank)[0] is None]


def _judgement(asked: _Asked, source: Mapping[str, Any], hit: RankedHit | None = None) -> Judgement | None:
    """What the model makes of a document: what it said in the search, or says now if it was not asked."""
    pipeline, scorer = asked.searcher.pipeline, asked.searcher.scorer
    if scorer is None or asked.outcome.summary.status != "applied":
        return None
    built = pipeline.passage.build(source)
    if not built.text:
        return Judgement("", built.flags)
    failure = ""
    try:
        scores = hit.windows if hit is not None else _scores(scorer, asked, built.text)
    except ScorerError as error:
        if pipeline.on_error == "raise":
            raise
        failure, scores = str(error) or type(error).__name__, ()
    raw = hit.rerank_score if hit is not None else _pooled(asked, scores)
    others = [other.rerank_score for other in asked.outcome.page if other.rerank_score is not None]
    return Judgement(
        passage=built.text,
        flags=hit.flags if hit is not None else built.flags,
        reading=scorer.reading(asked.query.strip(), built.text, windows=pipeline.passage.windows),
        windows=tuple(scores),
        raw=raw,
        official=None if raw is None else activate(raw, scorer.activation),
        activation=scorer.activation,
        better=None if raw is None or not others else sum(other > raw for other in others),
        failure=failure,
    )


def _scores(scorer: Scorer, asked: _Asked, passage: str) -> tuple[float, ...]:
    """The raw score of each window of a passage that was not part of the search."""
    pipeline = asked.searcher.pipeline
    deadline = None if pipeline.deadline_s is None else time.monotonic() + pipeline.deadline_s

    def story() -> Generator[Score, Any, tuple[float, ...]]:
        answer = yield Score(asked.query.strip(), (passage,), pipeline.passage.windows, deadline)
        return tuple(answer[0])

    return run(story(), asked.searcher.engine.search, scorer)


def _pooled(asked: _Asked, scores: Sequence[float]) -> float | None:
    windows = asked.searcher.pipeline.passage.windows
    if not scores:  # the model failed
        return None
    raw = scores[0] if windows is None else windows.pooled(scores)
    return raw if math.isfinite(raw) else None


def _below(hit: RankedHit, threshold: float | None) -> bool:
    return threshold is not None and (hit.rerank_score is None or hit.rerank_score < threshold)


def _text(source: Mapping[str, Any], name: str) -> str:
    """What a document has in a field, as text."""
    escaped = name.replace("{", "").replace("}", "")  # a template cannot name a field with braces
    return PassageTemplate(f"{{{escaped}}}").build(source).text if escaped.strip() else ""


def _shared(query: str, source: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The query's words that a document has, each with the fields in which it stands."""
    words = {name: set(_WORD.findall(_text(source, name).casefold())) for name in source}
    asked = dict.fromkeys(_WORD.findall(query.casefold()))
    where = {word: tuple(name for name, found in words.items() if word in found) for word in asked}
    return {word: fields for word, fields in where.items() if fields}
