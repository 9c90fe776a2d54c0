"""The API of Text Embeddings Inference: ``/rerank`` with ``texts``, ``/health`` and ``/info``.

https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, RootModel

from rebridge.errors import ScorerError
from rebridge.server.rerank.desk import Ask, Caller, Desk
from rebridge.server.rerank.documents import Documents, Flag, passage_of, ranking
from rebridge.server.rerank.problems import TEI, Problem, TeiError, problem_of
from rebridge.server.rerank.route import reply, route_class


class TeiRequest(BaseModel):
    """What to rank. Texts that are too long are always cut at their end, whatever `truncate` says."""

    query: str
    texts: Annotated[Documents, Field(json_schema_extra={"minItems": 1})]
    raw_scores: Flag = False
    return_text: Flag = False
    truncate: Flag | None = None
    truncation_direction: Annotated[Literal["right", "Right"], Field(description="No text is cut at its start.")] = (
        "right"
    )


class Rank(BaseModel):
    """One text's score."""

    index: Annotated[int, Field(ge=0)]
    score: float
    text: str | None = None


class Ranks(RootModel[list[Rank]]):
    """The best texts first."""


class Labels(BaseModel):
    """The one label of a reranker."""

    id2label: dict[str, str] = {"0": "LABEL_0"}
    label2id: dict[str, int] = {"LABEL_0": 0}


class ModelType(BaseModel):
    """That the model ranks."""

    reranker: Labels = Labels()


class Info(BaseModel):
    """The default model, as far as TEI's keys fit; 0 stands for what has no bound of its own."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    model_sha: str | None = None
    model_dtype: str = "auto"
    model_type: ModelType = ModelType()
    max_concurrent_requests: Annotated[int, Field(description="Requests that may wait for scores.")]
    max_input_length: Annotated[int, Field(description="0: the model's own, beyond which texts are cut.")] = 0
    max_batch_tokens: int = 0
    max_batch_requests: int | None = None
    max_client_batch_size: Annotated[int, Field(description="Most texts of a request.")]
    auto_truncate: bool = True
    tokenization_workers: int = 1
    version: str
    sha: str | None = None
    docker_label: str | None = None


async def ranks(desk: Desk, who: Caller, body: TeiRequest) -> Response:
    """The answer to TEI's ``/rerank``. It knows no models' names, so the default model answers."""
    if not body.texts:
        raise Problem("empty", "`texts` cannot be empty")
    texts = [passage_of(text) for text in body.texts]
    scored = await desk.score(who, None, [Ask(body.query, texts)])
    scores = scored.shown(raw=body.raw_scores)
    return reply(
        Ranks(
            [
                Rank(index=index, score=scores[index], text=texts[index] if body.return_text else None)
                for index in ranking(scores, scored.raw(), None)
            ]
        )
    )


def tei_router(desk: Desk) -> APIRouter:
    """``/health`` and ``/info``."""
    router = APIRouter(tags=["Text Embeddings Inference"], route_class=route_class(lambda _: TEI, 0))

    @router.get(
        "/health",
        response_class=Response,
        responses={200: {"description": "The models can be asked."}, 503: {"model": TeiError}},
        summary="Health (TEI)",
    )
    def health() -> Response:
        """Whether the models can be asked."""
        if desk.service.ready():
            return Response()
        unhealthy = TeiError(error="unhealthy", error_type="unhealthy")
        return Response(unhealthy.model_dump_json(), 503, media_type="application/json")

    @router.get("/info", responses={200: {"model": Info}, 404: {"model": TeiError}}, summary="What is served (TEI)")
    def info() -> Response:
        """The default model and the limits."""
        try:
            name = desk.service.scorer(None).name
        except ScorerError as error:
            raise problem_of(error) from error
        told = Info(
            model_id=name,
            max_concurrent_requests=desk.limits.queue,
            max_client_batch_size=desk.limits.documents,
            version=version("rebridge"),
        )
        return reply(told, sparse=False)

    return router
