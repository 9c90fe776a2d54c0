"""Our own dialect: raw scores of every window, for pipelines whose model runs in another rebridge."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from rebridge.scorers.base import Activation
from rebridge.server.rerank.desk import Ask, Caller, Desk, caller
from rebridge.server.rerank.documents import Flag, Positive
from rebridge.server.rerank.problems import NATIVE, responses
from rebridge.server.rerank.route import reply, route_class
from rebridge.steps import Windows


class ScoresRequest(BaseModel):
    """Passages to score against a query."""

    model: Annotated[str | None, Field(description="A model's name or alias; null for the default model.")] = None
    query: str
    passages: Annotated[
        list[str], Field(description="None say that passages for the query are likely to follow: see reads_queries.")
    ]
    windows: Annotated[
        Windows | None, Field(description="Cut passages into windows of tokens; null: the model truncates them.")
    ] = None
    layers: Annotated[Flag, Field(description="A score after each of the model's layers instead.")] = False
    deadline_ms: Annotated[Positive | None, Field(description="As X-Rerank-Deadline-Ms; the shorter one counts.")] = (
        None
    )


class ScoresResponse(BaseModel):
    """Scores in the order of the passages."""

    model: str
    activation: Annotated[Activation, Field(description="What makes official scores of these raw ones.")]
    scores: Annotated[
        list[list[float | None]], Field(description="Raw scores of each passage's windows; null: not finite.")
    ]
    reads_queries: Annotated[
        bool, Field(description="Whether the model reads a query apart, and so can begin before there are passages.")
    ]


def native_router(desk: Desk) -> APIRouter:
    """``/rebridge/v1/scores``."""
    router = APIRouter(tags=["rebridge"], route_class=route_class(lambda _: NATIVE, desk.limits.body_bytes))
    answers: Any = {200: {"model": ScoresResponse}, **responses(NATIVE)}

    @router.post("/rebridge/v1/scores", responses=answers, summary="Raw scores (rebridge)")
    async def scores(body: ScoresRequest, who: Annotated[Caller, Depends(caller)]) -> Response:
        """Raw scores: nothing is sorted, and nothing made official."""
        deadlines = [wait_ms for wait_ms in (body.deadline_ms, who.deadline_ms) if wait_ms is not None]
        hurried = replace(who, deadline_ms=min(deadlines, default=None))
        asks = [Ask(body.query, body.passages)]
        scored = await desk.score(hurried, body.model, asks, windows=body.windows, layers=body.layers)
        if not body.passages:
            desk.announce(hurried, body.model, body.query)
        rows = [[score if math.isfinite(score) else None for score in row] for row in scored.rows]
        told = ScoresResponse(
            model=scored.model, activation=scored.activation, scores=rows, reads_queries=scored.reads_queries
        )
        return reply(told, sparse=False)

    return router
