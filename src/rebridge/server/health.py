"""Whether the server lives, whether it should get requests, and its numbers: what machines ask all the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from rebridge.server.metrics import Metrics
from rebridge.server.models.pool import ModelState


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether the server should get requests, and why.

    Attributes:
        ready: the answer.
        draining: it is about to end.
        scorer: the process of the models answers, and has tried to load those that are loaded at start.
    """

    ready: bool
    draining: bool
    scorer: bool


class Health:
    """What readiness depends on.

    Engines do not count: a proxy says itself that its engine is away, and the API needs none. Where there are proxies,
    the scorer does not count after it was there once: searches are answered without it, in the engine's order, which
    beats no answer.

    Args:
        draining: whether the server is about to end.
        scorer: whether the models that are loaded at start are, or could not be.
        proxies: whether there are any.
    """

    def __init__(self, draining: Callable[[], bool], scorer: Callable[[], bool], *, proxies: bool) -> None:
        self._draining, self._scorer, self._proxies = draining, scorer, proxies
        self._begun = False

    def readiness(self) -> Readiness:
        """How it is now."""
        draining, scorer = self._draining(), self._scorer()
        self._begun = self._begun or scorer
        ready = not draining and (scorer or (self._proxies and self._begun))
        return Readiness(ready=ready, draining=draining, scorer=scorer)


def health_router(health: Health, metrics: Metrics, models: Callable[[], Sequence[ModelState]]) -> APIRouter:
    """``/healthz``, ``/readyz`` and ``/metrics``."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz")
    async def healthz() -> Alive:
        """Alive: the process answers."""
        return Alive()

    @router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})
    def readyz(response: Response) -> Readiness:
        """Ready: the server should get requests."""
        readiness = health.readiness()
        response.status_code = 200 if readiness.ready else 503
        return readiness

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def read_metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(metrics.exposition(models()), media_type=CONTENT_TYPE_LATEST)

    return router
