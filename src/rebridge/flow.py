"""The story of one search, told once. It yields what it needs and never does I/O; `rebridge.drivers` runs it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from rebridge import fusion
from rebridge.attempts import Scored, ask_scorers
from rebridge.errors import BadReply, ConnectorError, ScorerError
from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary
from rebridge.passages import Passage
from rebridge.pipeline import Pipeline
from rebridge.steps import Announce, Fetch, Score

ReplyT = TypeVar("ReplyT")

_log = logging.getLogger("rebridge")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ReplyT]):
    """What a search came to.

    Attributes:
        reply: the reply in the engine's own format.
        page: the hits of the page in their final order; empty if the request was bypassed.
        summary: what was done.
        terms: what fusion made of each hit of the page; None outside the rank window or if degraded.
    """

    reply: ReplyT
    page: tuple[RankedHit, ...]
    summary: Summary
    terms: tuple[fusion.Terms | None, ...] = ()


Flow = Generator[Fetch | Announce | Score, Any, Outcome[ReplyT]]


class _Stopwatch:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.started = clock()

    def ms(self) -> float:
        """Milliseconds since the start."""
        return (self.clock() - self.started) * 1000


@dataclass(frozen=True, slots=True)
class _Judged:
    """A hit with the evidence behind its place."""

    hit: RankedHit
    terms: fusion.Terms | None = None


def plan_page(asked: SearchRequest, pipeline: Pipeline) -> PagePlan:
    """Decide which slice to fetch: the whole rank window and the page, or the page alone if it lies behind.

    The window is the same for every page, which is what makes paging stable.
    """
    window, end = pipeline.rank_window, asked.offset + asked.size
    start = 0 if asked.offset < window else asked.offset
    size = max(window, end) if asked.offset < window else asked.size
    return PagePlan(asked.offset, asked.size, window, start, size, pipeline.passage.fields)


def rerank_flow(request: Any, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> Flow[Any]:
    """One search from request to reply.

    Args:
        request: the engine's own request.
        pipeline: how to rerank it.
        clock: seconds, as `time.monotonic`.

    Yields:
        `Announce`, `Fetch` and `Score`; each expects its answer by `send`, or its failure by `throw`.

    Returns:
        The outcome, with a reply in the engine's own format.
    """
    watch = _Stopwatch(clock)
    asked = pipeline.connector.read(request)
    text, reason = wanted(asked, pipeline)
    if reason is not None:
        reply = yield Fetch(asked.native)
        return _finish(pipeline, reply, (), Summary("bypassed", reason, engine_ms=watch.ms()), watch)
    plan = plan_page(asked, pipeline)
    deadline = None if pipeline.deadline_s is None else watch.started + pipeline.deadline_s
    if plan.needs_head:
        yield Announce(text, deadline)
    reply, found = yield from _fetch(asked, plan, pipeline)
    fetched = watch.ms()
    if isinstance(found, str):
        return _own(asked, reply, found, pipeline, watch)
    judged, summary = yield from _judge(text, found, plan, pipeline, deadline, watch)
    summary = replace(summary, engine_ms=fetched)
    page = judged[plan.offset - plan.fetch_offset :][: plan.size]
    best = judged[0].hit.score if judged and summary.status == "applied" else None
    reply = pipeline.connector.render(asked.native, reply, [item.hit for item in page], best)
    return _finish(pipeline, reply, page, summary, watch)


def first_stage_flow(request: Any, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> Flow[Any]:
    """One search without reranking, for comparison: request and reply are as if rebridge were not there.

    Arguments and results as `rerank_flow`; the page holds the hits in the engine's order with the engine's scores.
    """
    watch = _Stopwatch(clock)
    asked = pipeline.connector.read(request)
    reply = yield Fetch(asked.native)
    plan = PagePlan(asked.offset, asked.size, 0, asked.offset, asked.size)
    page = _unranked(pipeline.connector.parse(reply, plan))
    summary = Summary("bypassed", "not_asked", engine_ms=watch.ms(), total_ms=watch.ms())
    return Outcome(reply, tuple(item.hit for item in page), summary, (None,) * len(page))


def wanted(asked: SearchRequest, pipeline: Pipeline) -> tuple[str, str | None]:
    """The query text, and why the request is not reranked if it is not."""
    text, doubts = asked.query_text, asked.doubts
    if pipeline.query_path is not None and not asked.explicit:
        found = pipeline.query_path.text(asked.document)
        if found is not None:
            text, doubts = found, tuple(doubt for doubt in doubts if doubt == "tie_breaker")
    text = (text or "").strip()
    doubt = next((doubt for doubt in doubts if doubt not in pipeline.rerank_also), None)
    return text, asked.bypass or (doubt if text else "no_query_text")


def _fetch(
    asked: SearchRequest, plan: PagePlan, pipeline: Pipeline
) -> Generator[Fetch, Any, tuple[Any, Sequence[Candidate] | str]]:
    """The reply to the widened request with its candidates; or that to the user's own, and in a word why.

    A wider request can fail where the user's own does not, and what the user sees of a failure must come from the
    user's own request.
    """
    connector, reply = pipeline.connector, None
    try:
        reply = yield Fetch(connector.widen(asked.native, plan))
        reason = connector.refusal(reply)
        if reason is None:
            return reply, connector.parse(reply, plan)
        problem: Exception = ConnectorError(f"the engine answered the rank window with {reason}")
    except BadReply as error:
        reason, problem = "odd_reply", error
    except Exception as error:
        reason, problem = connector.refusal(error), error
        if reason is None:
            raise
    own = yield Fetch(asked.native)
    if reason == "shard_failures" and connector.refusal(own) == reason:
        return reply, connector.parse(reply, plan)  # the window is not to blame
    told = problem.problem if isinstance(problem, BadReply) else problem  # a reply holds documents
    _log.warning("%s: first-stage order (%s): %s", pipeline.index, reason, told)
    if pipeline.on_error == "raise":
        if isinstance(problem, BadReply):
            raise problem
        raise ConnectorError(
            f"The engine answers this request, but not for its rank window of {plan.rank_window}. Lower rank_window, "
            f"or raise the index's own limits (index.max_result_window). It said: {problem}"
        ) from problem
    return own, reason


def _own(asked: SearchRequest, reply: Any, reason: str, pipeline: Pipeline, watch: _Stopwatch) -> Outcome[Any]:
    """The answer to the user's own request, where the rank window could not be had."""
    if pipeline.connector.refusal(reply) == "window_refused":  # its own failure, handed over as a reply
        return Outcome(reply, (), Summary("bypassed", "refused", engine_ms=watch.ms(), total_ms=watch.ms()))
    plan = PagePlan(asked.offset, asked.size, pipeline.rank_window, asked.offset, asked.size)
    try:
        shown = _unranked(pipeline.connector.parse(reply, plan))
    except BadReply:
        if reason == "odd_reply":
            raise
        shown = []  # the user's own request may ask for hits without ids
    summary = Summary("degraded", reason, rank_window=plan.rank_window, engine_ms=watch.ms())
    return _finish(pipeline, reply, shown, summary, watch)


def _judge(  # noqa: PLR0913, PLR0917 - what is known of the search by then
    query: str,
    candidates: Sequence[Candidate],
    plan: PagePlan,
    pipeline: Pipeline,
    deadline: float | None,
    watch: _Stopwatch,
) -> Generator[Score, Any, tuple[list[_Judged], Summary]]:
    """Score the head and put all candidates in their final order, or keep the first stage's and say why."""
    summary = Summary("applied", rank_window=plan.rank_window)
    head = candidates[: plan.rank_window] if plan.needs_head else ()
    if not head:
        tail = _behind(candidates, 0, pipeline.min_rerank_score, plan)
        return tail, summary if plan.needs_head else replace(summary, reason="outside_window")
    passages = [pipeline.passage.build(candidate.source) for candidate in head]
    summary = replace(summary, model=pipeline.model)
    began = watch.ms()
    try:
        scored = yield from ask_scorers(query, passages, pipeline, deadline, watch.clock)
    except Exception as error:
        if pipeline.on_error == "raise":
            raise
        reason = error.reason if isinstance(error, ScorerError) else ScorerError.reason
        # A stack trace helps where the error is none of ours, and is noise where it is.
        trace = None if isinstance(error, ScorerError) else error
        _log.warning("%s: first-stage order (%s): %s", pipeline.index, reason, error, exc_info=trace)
        summary = replace(summary, status="degraded", reason=reason, detail=str(error))
        return _unranked(candidates), replace(summary, scorer_ms=watch.ms() - began)
    texts = sum(1 for passage in passages if passage.text)
    summary = replace(summary, model=scored.model, scored=texts, scorer_ms=watch.ms() - began)
    threshold = pipeline.min_rerank_score
    if scored.attempt:
        summary = replace(summary, reason="fallback", detail=scored.failures)
        threshold = None  # it is one of the pipeline's own model
    ranked = _rank(head, passages, scored, pipeline)
    kept = [item for item in ranked if not _below(item.hit, threshold)]
    tail = _behind(candidates, len(head), threshold, plan)
    if len(kept) == len(ranked):
        return ranked + tail, summary
    return _numbered(kept) + tail, replace(summary, dropped=len(ranked) - len(kept))


def _rank(
    head: Sequence[Candidate],
    passages: Sequence[Passage],
    scored: Scored,
    pipeline: Pipeline,
) -> list[_Judged]:
    rerank = scored.rerank
    terms = fusion.fuse(pipeline.fusion, [candidate.score for candidate in head], rerank)
    ranked = []
    for rank, index in enumerate(fusion.order(terms, rerank), start=1):
        flags = passages[index].flags
        if rerank[index] is None and passages[index].text:
            flags = (*flags, "no_finite_score")
        score = fusion.head_score(terms[index].total)
        hit = RankedHit(head[index], rank, score, rerank[index], scored.windows[index], flags)
        ranked.append(_Judged(hit, terms[index]))
    return ranked


def _below(hit: RankedHit, threshold: float | None) -> bool:
    return threshold is not None and (hit.rerank_score is None or hit.rerank_score < threshold)


def _numbered(kept: Sequence[_Judged]) -> list[_Judged]:
    return [replace(item, hit=replace(item.hit, rank=rank)) for rank, item in enumerate(kept, start=1)]


def _behind(candidates: Sequence[Candidate], first: int, threshold: float | None, plan: PagePlan) -> list[_Judged]:
    """The candidates behind the rank window. Under a threshold only scored hits are shown."""
    return [
        _Judged(RankedHit(hit, hit.rank, fusion.tail_score(hit.rank, plan.rank_window), flags=("outside_window",)))
        for hit in (candidates[first:] if threshold is None else ())
    ]


def _unranked(candidates: Sequence[Candidate]) -> list[_Judged]:
    """The first stage's own order and scores."""
    return [_Judged(RankedHit(candidate, candidate.rank, candidate.score)) for candidate in candidates]


def _finish(
    pipeline: Pipeline, reply: Any, page: Sequence[_Judged], summary: Summary, watch: _Stopwatch
) -> Outcome[Any]:
    summary = replace(summary, total_ms=watch.ms())
    hits = tuple(item.hit for item in page)
    if pipeline.annotate != "none" or summary.status == "degraded":
        told = replace(summary, detail=None)
        reply = pipeline.connector.annotate(reply, told, hits if pipeline.annotate == "full" else ())
    return Outcome(reply, hits, summary, tuple(item.terms for item in page))
