"""What the page asks and gets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rebridge.models import Status

#: Most hits of a page, and the furthest one that can be asked for.
MOST, FURTHEST = 50, 1000


class Question(BaseModel):
    """One search.

    Attributes:
        pipeline: its name.
        query: plain words.
        size: hits of a page, in each list.
        offset: hits to skip in each list, from 0.
    """

    model_config = ConfigDict(extra="forbid")

    pipeline: str
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    size: Annotated[int, Field(ge=1, le=MOST)] = 10
    offset: Annotated[int, Field(ge=0, le=FURTHEST - MOST)] = 0


class Hit(BaseModel):
    """A hit in both lists. Scores that are not finite numbers are null.

    Attributes:
        id: the document's id.
        title: the first field of the passage's template, where that has several; empty if the document has none.
        passage: what the model was given to read, cut where it is very long.
        passage_length: characters of the whole passage.
        first_stage_rank: rank in the engine's own list, from 1.
        first_stage_score: the engine's score.
        rank: final rank, from 1; null if it was removed for its low model score.
        score: final score.
        rerank_score: the model's raw score; null if it gave none.
        windows: the raw score of each passage window.
        first_stage_share: what the first stage adds to the fused score; null if scores were not fused.
        rerank_share: what the model adds to it.
        flags: what was special.
    """

    id: str
    title: str
    passage: str
    passage_length: int
    first_stage_rank: int
    first_stage_score: float | None
    rank: int | None = None
    score: float | None = None
    rerank_score: float | None = None
    windows: list[float | None] = []
    first_stage_share: float | None = None
    rerank_share: float | None = None
    flags: list[str] = []


class Told(BaseModel):
    """What was done: `rebridge.models.Summary` without details, which may name paths."""

    status: Status
    reason: str | None
    model: str | None
    rank_window: int
    scored: int
    dropped: int
    engine_ms: float
    scorer_ms: float
    total_ms: float


class Answer(BaseModel):
    """One search, in both orders.

    Attributes:
        hits: all that stand in a list.
        first_stage: places in ``hits``, in the engine's order.
        reranked: places in ``hits``, in the final order.
        fetched: how many hits the engine gave for the rank window and the page.
        summary: what was done.
    """

    pipeline: str
    query: str
    offset: int
    size: int
    hits: list[Hit]
    first_stage: list[int]
    reranked: list[int]
    fetched: int
    summary: Told


class PipelineInfo(BaseModel):
    """A pipeline that can be searched.

    Attributes:
        name: its name.
        engine: name of its connector.
        model: name of its scorer.
        loaded: whether the model is in memory; null if it is another server's.
        rank_window: how many hits the model scores.
        fusion: how both scores are combined.
        min_rerank_score: hits with a lower raw score are removed; null for no limit.
    """

    name: str
    engine: str
    model: str
    loaded: bool | None
    rank_window: int
    fusion: str
    min_rerank_score: float | None


class Pipelines(BaseModel):
    """All pipelines, the one to begin with first."""

    pipelines: list[PipelineInfo]
