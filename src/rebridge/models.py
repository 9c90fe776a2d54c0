"""The values that travel through a search. All are frozen: every step returns new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: What makes it doubtful that a request should be reranked. Such requests pass through untouched unless their pipeline
#: lists the word in ``rerank_also``: sorted by score and then by something else; no words but those of exact values;
#: no words but those of filters.
Doubt = Literal["tie_breaker", "term_query", "filter_text"]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What a connector read out of a native request.

    Attributes:
        native: the request as the engine takes it, without keys that only rebridge knows.
        query_text: the words that the user asked for, for the scorer; None if the request has none.
        offset: how many hits the page skips, from 0.
        size: how many hits the page holds at most.
        bypass: why this request must not be reranked; None if it can be.
        doubts: why it is reranked only if the pipeline says so.
        explicit: the request itself names ``query_text`` as the words for the scorer.
        document: the request as a JSON value, for a pipeline's own path to the query text.
    """

    native: Any
    query_text: str | None
    offset: int = 0
    size: int = 10
    bypass: str | None = None
    doubts: tuple[Doubt, ...] = ()
    explicit: bool = False
    document: Any = None


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Which slice to fetch from the engine so that the requested page can be cut out of the ranking.

    Attributes:
        offset: first hit of the requested page, from 0.
        size: size of the requested page.
        rank_window: how many candidates are rescored; the same for every page.
        fetch_offset: first hit to ask the engine for, from 0.
        fetch_size: how many hits to ask the engine for.
        fields: names of the document fields that passages are built from.
    """

    offset: int
    size: int
    rank_window: int
    fetch_offset: int
    fetch_size: int
    fields: tuple[str, ...] = ()

    @property
    def needs_head(self) -> bool:
        """Whether any hit of the page is inside the rank window."""
        return self.offset < self.rank_window


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hit of the first stage.

    Attributes:
        doc_id: the engine's id of the document, as text.
        score: first-stage score.
        rank: first-stage rank over all pages, from 1.
        position: where the hit stands in the engine's reply, from 0.
        source: the document's fields.
    """

    doc_id: str
    score: float
    rank: int
    position: int
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A candidate in its final place.

    Attributes:
        candidate: the first-stage hit.
        rank: final rank over all pages, from 1.
        score: final score: non-negative, never rising with the rank. On a degraded reply the first-stage score.
        rerank_score: the model's raw score (pooled over windows); None if it was not scored.
        windows: the raw score of every passage window, one entry where the passage was not cut.
        flags: what was special, e.g. ``no_passage``, ``outside_window``.
    """

    candidate: Candidate
    rank: int
    score: float
    rerank_score: float | None = None
    windows: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()


Status = Literal["applied", "bypassed", "degraded"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What happened to a request.

    Attributes:
        status: ``applied``, ``bypassed`` (untouched) or ``degraded`` (first-stage order after a failure).
        reason: why the reply was bypassed or degraded, in a word. Of an applied one ``outside_window`` if the page lies
            wholly behind the rank window, ``fallback`` if another scorer than the pipeline's own answered; else None.
        detail: what failed, of a degraded reply or a fallback's; it may name paths, and so never goes into the reply.
        model: the name of the scorer that answered; None if no scorer was asked.
        rank_window: how many candidates could be rescored.
        scored: how many candidates the model scored.
        dropped: how many hits `min_rerank_score` removed from the rank window.
        engine_ms: time in the engine, milliseconds.
        scorer_ms: time in which the scorer was waited for, milliseconds.
        total_ms: whole search, milliseconds.
    """

    status: Status
    reason: str | None = None
    detail: str | None = None
    model: str | None = None
    rank_window: int = 0
    scored: int = 0
    dropped: int = 0
    engine_ms: float = 0.0
    scorer_ms: float = 0.0
    total_ms: float = 0.0
