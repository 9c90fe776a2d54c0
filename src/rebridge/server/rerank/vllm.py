"""``/score`` of vLLM: pairs of texts. Its ``/rerank`` is in `plain` and in `cohere`.

vllm/entrypoints/pooling/scoring/protocol.py
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, Discriminator, Field, Tag

from rebridge.server.rerank.cohere import Usage
from rebridge.server.rerank.desk import Ask, Caller, Desk, caller
from rebridge.server.rerank.documents import Documents, Flag, passage_of
from rebridge.server.rerank.problems import VLLM, Problem, responses
from rebridge.server.rerank.route import reply, route_class


class _ScoreRequest(BaseModel):
    model: Annotated[str | None, Field(description="A model's name or alias; null for the default model.")] = None
    use_activation: Annotated[Flag | None, Field(description="false for raw scores instead of official ones.")] = None


Texts = Annotated[str | Documents, Field(description="One text or several.")]


class TextsRequest(_ScoreRequest):
    """Pairs to score: one text with each of the others, or each with the one at the same place."""

    text_1: Texts
    text_2: Texts

    def sides(self) -> tuple[Any, Any]:
        """Queries and passages."""
        return self.text_1, self.text_2


class QueriesRequest(_ScoreRequest):
    """Pairs to score: one query with each of the documents, or each with the one at the same place."""

    queries: Texts
    documents: Texts

    def sides(self) -> tuple[Any, Any]:
        """Queries and passages."""
        return self.queries, self.documents


class PairScore(BaseModel):
    """The score of one pair."""

    index: Annotated[int, Field(ge=0)]
    object: Literal["score"] = "score"
    score: float


class ScoreUsage(Usage):
    """Tokens, which are not counted here: 0."""

    completion_tokens: int = 0


class ScoreResponse(BaseModel):
    """Scores in the order of the pairs."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[PairScore]
    usage: ScoreUsage = ScoreUsage()


def _form(body: Any) -> str:
    return "queries" if isinstance(body, dict) and "queries" in body else "texts"


AnyRequest = Annotated[
    Annotated[TextsRequest, Tag("texts")] | Annotated[QueriesRequest, Tag("queries")], Discriminator(_form), Body()
]


def vllm_router(desk: Desk) -> APIRouter:
    """``/score`` and ``/v1/score``."""
    router = APIRouter(tags=["score"], route_class=route_class(lambda _: VLLM, desk.limits.body_bytes))
    answers: Any = {200: {"model": ScoreResponse}, **responses(VLLM)}

    @router.post("/v1/score", responses=answers, summary="Score pairs (vLLM)", operation_id="score_v1")
    @router.post("/score", responses=answers, summary="Score pairs (vLLM)", operation_id="score")
    async def pairs(body: AnyRequest, who: Annotated[Caller, Depends(caller)]) -> Response:
        """The scores of pairs of texts, in order."""
        scored = await desk.score(who, body.model, _asks(*body.sides()))
        shown = scored.shown(raw=body.use_activation is False)
        data = [PairScore(index=index, score=value) for index, value in enumerate(shown)]
        return reply(ScoreResponse(id=f"score-{uuid4().hex}", created=int(time.time()), model=scored.model, data=data))

    return router


def _asks(first: Any, second: Any) -> list[Ask]:
    """What to score: one query with every passage, or each with its own."""
    queries, passages = (
        [passage_of(text) for text in (side if isinstance(side, list) else [side])] for side in (first, second)
    )
    if len(queries) == 1:
        return [Ask(queries[0], passages)]
    if len(queries) == len(passages):
        return [Ask(query, [passage]) for query, passage in zip(queries, passages, strict=True)]
    raise Problem("invalid", f"{len(queries)} texts cannot be paired with {len(passages)}: 1 to 1, 1 to N or N to N")
