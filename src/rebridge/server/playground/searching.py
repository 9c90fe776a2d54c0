"""One search for both lists. The engine is asked once: the hits of the rank window tell both orders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter

from rebridge.drivers import run_async
from rebridge.flow import Outcome, rerank_flow
from rebridge.fusion import Terms
from rebridge.models import Candidate, PagePlan, RankedHit
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.searcher import Searcher
from rebridge.server.playground.answers import Answer, Hit, Question, Told

#: Nobody waits longer than this in front of a page, seconds.
LONGEST_S = 60.0
#: Most characters of a passage and of a title that the page gets.
PASSAGE, TITLE = 8000, 300


async def ask(searcher: Searcher, question: Question, limiter: CapacityLimiter) -> Answer:
    """Search once, and tell both orders.

    Args:
        searcher: the pipeline.
        question: what was asked.
        limiter: bounds the threads that wait for engines.

    Raises:
        ConnectorError: if the engine cannot answer.
        ScorerError: if the scorer fails and the pipeline says that this is an error.
    """
    pipeline = searcher.pipeline
    deadline_s = min(pipeline.deadline_s or LONGEST_S, LONGEST_S)
    pipeline = replace(pipeline, deadline_s=deadline_s, annotate="none")
    # The whole rank window is the page, so that the fate of each of its hits is known.
    wanted = max(pipeline.rank_window, question.offset + question.size)
    request = searcher.request(question.query, offset=0, size=wanted)
    replies: list[Any] = []

    async def fetch(native: Any) -> Any:
        # A client that has left is not waited for, nor is the engine.
        reply = await anyio.to_thread.run_sync(searcher.engine.search, native, limiter=limiter, abandon_on_cancel=True)
        replies.append(reply)
        return reply

    scorers = [] if searcher.scorer is None else [searcher.scorer, *searcher.fallbacks]
    outcome: Outcome[Any] = await run_async(rerank_flow(request, pipeline), fetch, scorers)
    plan = PagePlan(0, wanted, pipeline.rank_window, 0, wanted, pipeline.passage.fields)
    candidates = pipeline.connector.parse(replies[-1], plan)
    return _answer(question, pipeline, outcome, candidates)


def _answer(question: Question, pipeline: Pipeline, outcome: Outcome[Any], candidates: Sequence[Candidate]) -> Answer:
    page, terms = outcome.page, outcome.terms
    if outcome.summary.status == "bypassed":
        page = tuple(RankedHit(candidate, candidate.rank, candidate.score) for candidate in candidates)
        terms = (None,) * len(page)
    judged = {hit.candidate.rank: (hit, share) for hit, share in zip(page, terms, strict=True)}
    first, last = question.offset + 1, question.offset + question.size
    engine_order = [candidate.rank for candidate in candidates if first <= candidate.rank <= last]
    final_order = [hit.candidate.rank for hit in page if first <= hit.rank <= last]
    shown = [c for c in candidates if c.rank in {*engine_order, *final_order}]
    places = {candidate.rank: place for place, candidate in enumerate(shown)}
    return Answer(
        pipeline=pipeline.index,
        query=question.query,
        offset=question.offset,
        size=question.size,
        hits=[_hit(candidate, pipeline.passage, *judged.get(candidate.rank, (None, None))) for candidate in shown],
        first_stage=[places[rank] for rank in engine_order],
        reranked=[places[rank] for rank in final_order],
        fetched=len(candidates),
        summary=_told(outcome),
    )


def _told(outcome: Outcome[Any]) -> Told:
    return Told.model_validate({name: value for name, value in asdict(outcome.summary).items() if name != "detail"})


def _hit(candidate: Candidate, template: PassageTemplate, judged: RankedHit | None, terms: Terms | None) -> Hit:
    passage = template.build(candidate.source)
    fate: Mapping[str, Any] = {"flags": passage.flags}
    if judged is not None:
        fate = {
            "rank": judged.rank,
            "score": _finite(judged.score),
            "rerank_score": _finite(judged.rerank_score),
            "windows": [_finite(score) for score in judged.windows],
            "flags": judged.flags or passage.flags,
        }
    if terms is not None:
        fate = {**fate, "first_stage_share": _finite(terms.first_stage), "rerank_share": _finite(terms.rerank)}
    return Hit(
        id=_text(candidate.doc_id),
        title=_title(candidate.source, template),
        passage=passage.text[:PASSAGE],
        passage_length=len(passage.text),
        first_stage_rank=candidate.rank,
        first_stage_score=_finite(candidate.score),
        **fate,
    )


def _title(source: Mapping[str, Any], template: PassageTemplate) -> str:
    """What the first field of a template with several says."""
    if len(template.fields) == 1:
        return ""
    return replace(template, template=f"{{{template.fields[0]}}}").build(source).text[:TITLE]


def _text(value: str) -> str:
    """A text that can be sent: without halves of surrogate pairs."""
    return value.encode("utf-8", "replace").decode()


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
