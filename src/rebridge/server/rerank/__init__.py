"""The rerank API: the dialects that applications and engines speak, all answered by the same models."""

from __future__ import annotations

from fastapi import APIRouter

from rebridge.server.rerank.cohere import cohere_router
from rebridge.server.rerank.desk import Desk
from rebridge.server.rerank.huggingface import hugging_face_router
from rebridge.server.rerank.limits import Limits
from rebridge.server.rerank.listing import listing_router
from rebridge.server.rerank.native import native_router
from rebridge.server.rerank.plain import plain_router
from rebridge.server.rerank.tei import tei_router
from rebridge.server.rerank.vllm import vllm_router
from rebridge.server.scoring import ScoringService

__all__ = ["Desk", "Limits", "native_router", "rerank_router"]

_ROUTERS = (
    cohere_router,
    plain_router,
    vllm_router,
    tei_router,
    hugging_face_router,
    native_router,
    listing_router,
)


def rerank_router(service: ScoringService, limits: Limits | None = None) -> APIRouter:
    """All routes of the rerank API. They share one bound on how many requests may wait.

    Args:
        service: the models.
        limits: what one request may ask for.
    """
    desk = Desk(service, limits or Limits())
    router = APIRouter()
    for routes in _ROUTERS:
        router.include_router(routes(desk))
    return router
