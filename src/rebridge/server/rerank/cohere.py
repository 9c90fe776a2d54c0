"""The APIs of Cohere and Jina, which OpenSearch's connectors and Elasticsearch's inference services speak, too."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from rebridge.server.rerank.desk import Ask, Caller, Desk, Scored, caller
from rebridge.server.rerank.documents import Count, Documents, Flag, passage_of, ranking, shown
from rebridge.server.rerank.problems import COHERE, responses
from rebridge.server.rerank.route import reply, route_class
from rebridge.steps import Windows

#: The fewest tokens that a passage can be cut to.
_FEWEST = 8


class DocumentsRequest(BaseModel):
    """What to rerank. Keys that are not named here are ignored."""

    model: Annotated[str | None, Field(description="A model's name or alias; null for the default model.")] = None
    query: str
    documents: Documents
    top_n: Annotated[Count | None, Field(description="How many results to give; null or 0 for all.")] = None
    rank_fields: Annotated[list[str] | None, Field(description="Keys of documents that are objects, to read.")] = None
    max_tokens_per_doc: Annotated[
        Count | None, Field(description="Cut documents to that many tokens, but not below 8; null or 0: as the model.")
    ] = None

    def passages(self) -> list[str]:
        """The texts of the documents."""
        return [passage_of(document, self.rank_fields) for document in self.documents]


class RerankRequest(DocumentsRequest):
    """What to rerank, as Cohere and Jina have it."""

    return_documents: Annotated[Flag | None, Field(description="Whether results hold the documents.")] = None


class RerankRequestV1(RerankRequest):
    """What to rerank, with what vLLM adds."""

    use_activation: Annotated[Flag | None, Field(description="false for raw scores instead of official ones.")] = None


class Result(BaseModel):
    """One document's score.

    It is the model's official one. Models whose official scores have no bounds give those, not numbers from 0 to 1.
    """

    index: Annotated[int, Field(ge=0, description="Position in the request.")]
    document: Annotated[Any, Field(description="As in the request; a text has become an object with `text`.")] = None
    relevance_score: float


class ApiVersion(BaseModel):
    """The version of the API that was spoken."""

    version: str


class Meta(BaseModel):
    """What Cohere says about a request; nothing is billed here."""

    api_version: ApiVersion


class Usage(BaseModel):
    """Tokens, which are not counted here: 0."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class RerankResponse(BaseModel):
    """The best documents first."""

    id: str
    results: list[Result]
    meta: Meta


class RerankResponseV1(RerankResponse):
    """The best documents first, with what Jina and vLLM add."""

    model: str
    usage: Usage = Usage()


def results(body: DocumentsRequest, scored: Scored, *, raw: bool = False) -> list[tuple[int, float]]:
    """Index and score of the documents that are asked for, best first."""
    scores = scored.shown(raw=raw)
    return [(index, scores[index]) for index in ranking(scores, scored.raw(), body.top_n)]


async def score(desk: Desk, who: Caller, body: DocumentsRequest) -> Scored:
    """The scores of a request's documents."""
    size = max(_FEWEST, body.max_tokens_per_doc) if body.max_tokens_per_doc else None
    windows = None if size is None else Windows(size=size, stride=size, limit=1)
    return await desk.score(who, body.model, [Ask(body.query, body.passages())], windows=windows)


def cohere_router(desk: Desk) -> APIRouter:
    """``/v2/rerank`` of Cohere, and ``/v1/rerank`` as Cohere, Jina and vLLM have it.

    https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc, protocol.py of vllm/entrypoints/pooling/scoring
    """
    router = APIRouter(tags=["rerank"], route_class=route_class(lambda _: COHERE, desk.limits.body_bytes))
    refusals = responses(COHERE)
    v2: Any = {200: {"model": RerankResponse}, **refusals}
    v1: Any = {200: {"model": RerankResponseV1}, **refusals}

    @router.post("/v2/rerank", responses=v2, summary="Rerank (Cohere, v2)")
    async def rerank_v2(body: RerankRequest, who: Annotated[Caller, Depends(caller)]) -> Response:
        """Documents in the order of their scores."""
        scored = await score(desk, who, body)
        found = _shown(body, results(body, scored), documents=bool(body.return_documents))
        return reply(RerankResponse(id=str(uuid4()), results=found, meta=_meta("2")))

    @router.post("/v1/rerank", responses=v1, summary="Rerank (Jina, Cohere v1, vLLM)")
    async def rerank_v1(body: RerankRequestV1, who: Annotated[Caller, Depends(caller)]) -> Response:
        """Documents in the order of their scores; they come back unless `return_documents` is false."""
        scored = await score(desk, who, body)
        best = results(body, scored, raw=body.use_activation is False)
        found = _shown(body, best, documents=body.return_documents is not False)
        return reply(RerankResponseV1(id=f"rerank-{uuid4().hex}", model=scored.model, results=found, meta=_meta("1")))

    return router


def _shown(body: RerankRequest, best: list[tuple[int, float]], *, documents: bool) -> list[Result]:
    return [
        Result(index=index, relevance_score=value, document=shown(body.documents[index]) if documents else None)
        for index, value in best
    ]


def _meta(version: str) -> Meta:
    return Meta(api_version=ApiVersion(version=version))
