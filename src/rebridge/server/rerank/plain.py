"""``/rerank``, under which TEI, vLLM and Infinity have different APIs: the body tells which is meant.

vllm/entrypoints/pooling/scoring/protocol.py; https://michaelfeil.eu/infinity;
https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, Discriminator, Field, Tag

from rebridge.server.rerank.cohere import DocumentsRequest, Usage, results, score
from rebridge.server.rerank.desk import Caller, Desk, Scored, caller
from rebridge.server.rerank.documents import Flag, Whole, passage_of
from rebridge.server.rerank.problems import TEI, VLLM, Dialect, responses
from rebridge.server.rerank.route import reply, route_class
from rebridge.server.rerank.tei import Ranks, TeiRequest, ranks


class VllmRequest(DocumentsRequest):
    """What to rerank, as vLLM has it."""

    top_n: Annotated[Whole | None, Field(description="How many results to give; 0, less or null for all.")] = None
    use_activation: Annotated[Flag | None, Field(description="false for raw scores instead of official ones.")] = None


class InfinityRequest(DocumentsRequest):
    """What to rerank, as Infinity has it: told by `return_documents` or `raw_scores`."""

    return_documents: Annotated[Flag, Field(description="Whether results hold the documents.")] = False
    raw_scores: Annotated[Flag, Field(description="Raw scores instead of official ones.")] = False


class VllmDocument(BaseModel):
    """A document's text."""

    text: str


class VllmResult(BaseModel):
    """One document's score."""

    index: Annotated[int, Field(ge=0)]
    document: VllmDocument
    relevance_score: float


class VllmResponse(BaseModel):
    """The best documents first."""

    id: str
    model: str
    usage: Usage = Usage()
    results: list[VllmResult]


class InfinityResult(BaseModel):
    """One document's score."""

    relevance_score: float
    index: Annotated[int, Field(ge=0)]
    document: str | None


class InfinityResponse(BaseModel):
    """The best documents first."""

    object: Literal["rerank"] = "rerank"
    results: list[InfinityResult]
    model: str
    usage: Usage = Usage()
    id: str
    created: int


def _form(body: Any) -> str:
    if not isinstance(body, dict):
        return "vllm"
    if "texts" in body:
        return "tei"
    return "infinity" if body.keys() & {"return_documents", "raw_scores"} else "vllm"


def _dialect(body: Any) -> Dialect:
    return TEI if _form(body) == "tei" else VLLM


AnyRequest = Annotated[
    Annotated[TeiRequest, Tag("tei")]
    | Annotated[InfinityRequest, Tag("infinity")]
    | Annotated[VllmRequest, Tag("vllm")],
    Discriminator(_form),
    Body(),
]


def plain_router(desk: Desk) -> APIRouter:
    """``/rerank``."""
    router = APIRouter(tags=["rerank"], route_class=route_class(_dialect, desk.limits.body_bytes))
    answers: Any = {200: {"model": Ranks | InfinityResponse | VllmResponse}, **responses(TEI, VLLM)}

    @router.post("/rerank", responses=answers, summary="Rerank (TEI, vLLM, Infinity)")
    async def rerank(body: AnyRequest, who: Annotated[Caller, Depends(caller)]) -> Response:
        """In TEI's form if the body has `texts`, in Infinity's with `return_documents` or `raw_scores`, else vLLM's."""
        if isinstance(body, TeiRequest):
            return await ranks(desk, who, body)
        scored = await score(desk, who, body)
        if isinstance(body, InfinityRequest):
            return reply(_infinity(body, scored), sparse=False)
        return reply(_vllm(body, scored))

    return router


def _infinity(body: InfinityRequest, scored: Scored) -> InfinityResponse:
    found = [
        InfinityResult(
            relevance_score=value,
            index=index,
            document=passage_of(body.documents[index]) if body.return_documents else None,
        )
        for index, value in results(body, scored, raw=body.raw_scores)
    ]
    return InfinityResponse(results=found, model=scored.model, id=f"infinity-{uuid4()}", created=int(time.time()))


def _vllm(body: VllmRequest, scored: Scored) -> VllmResponse:
    found = [
        VllmResult(index=index, document=VllmDocument(text=passage_of(body.documents[index])), relevance_score=value)
        for index, value in results(body, scored, raw=body.use_activation is False)
    ]
    return VllmResponse(id=f"rerank-{uuid4().hex}", model=scored.model, results=found)
