"""What Elasticsearch's inference service ``hugging_face`` sends and reads: a root array, and no key that it knows not.

HuggingFaceRerankRequestEntity.java and HuggingFaceRerankResponseEntity.java of Elasticsearch (x-pack/plugin/inference).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, RootModel
from pydantic.json_schema import SkipJsonSchema

from rebridge.server.rerank.desk import Ask, Caller, Desk, caller
from rebridge.server.rerank.documents import Count, Documents, Flag, passage_of, ranking
from rebridge.server.rerank.problems import HUGGING_FACE, responses
from rebridge.server.rerank.route import reply, route_class

ModelQuery = Annotated[
    str | SkipJsonSchema[None],
    Query(description="A model's name or alias; default: the default model."),
]


class HuggingFaceRequest(BaseModel):
    """What to rerank."""

    query: str
    documents: Documents
    return_documents: Flag | None = None
    top_n: Annotated[
        Count | None, Field(description="Not applied: Elasticsearch cuts the results itself, and fails if some lack.")
    ] = None


class HuggingFaceResult(BaseModel):
    """One document's score."""

    index: Annotated[int, Field(ge=0)]
    relevance_score: float
    text: str | None = None


class HuggingFaceResponse(RootModel[list[HuggingFaceResult]]):
    """Every document, the best first."""


def hugging_face_router(desk: Desk) -> APIRouter:
    """``/huggingface/rerank``."""
    router = APIRouter(tags=["rerank"], route_class=route_class(lambda _: HUGGING_FACE, desk.limits.body_bytes))
    answers: Any = {200: {"model": HuggingFaceResponse}, **responses(HUGGING_FACE)}

    @router.post("/huggingface/rerank", responses=answers, summary="Rerank (Elasticsearch's service hugging_face)")
    async def hugging_face_rerank(
        body: HuggingFaceRequest, who: Annotated[Caller, Depends(caller)], model: ModelQuery = None
    ) -> Response:
        """Every document in the order of the scores."""
        texts = [passage_of(document) for document in body.documents]
        scored = await desk.score(who, model, [Ask(body.query, texts)])
        scores = scored.shown()
        found = [
            HuggingFaceResult(
                index=index, relevance_score=scores[index], text=texts[index] if body.return_documents else None
            )
            for index in ranking(scores, scored.raw(), None)
        ]
        return reply(HuggingFaceResponse(found))

    return router
