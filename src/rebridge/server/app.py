"""What a worker serves: the API and the proxies, each on its port, all on the models of one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from fastapi import Depends
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline

from rebridge import connector as connectors
from rebridge.bridge import Bridge
from rebridge.http import HttpConnector
from rebridge.server.faces import Faces
from rebridge.server.front import end_with_parent
from rebridge.server.health import Health, health_router
from rebridge.server.metrics import Metrics
from rebridge.server.observing import Observed
from rebridge.server.pipelines import LivePipelines, model_table, open_bridges, playground_pipelines, read_pipelines
from rebridge.server.plan import Plan
from rebridge.server.playground import Shelf, playground_router
from rebridge.server.proxy import Proxy, Upstream
from rebridge.server.rerank import Limits, rerank_router
from rebridge.server.scoring import ProcessScoring
from rebridge.server.security import ApiKeys, BodyLimit
from rebridge.server.settings import ProxySettings
from rebridge.server.tracing import engine_tracing, set_up

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MIB = 2**20

_ABOUT = """Reranking behind search engines: one model server that speaks the rerank APIs of Cohere, Jina, Text
Embeddings Inference, vLLM, Infinity and Elasticsearch's hugging_face service."""


def make_worker(plan: Plan) -> ASGIApp:
    """The application of a worker; uvicorn calls this in each."""
    end_with_parent()
    set_up()
    return _Worker(plan).app()


class _Worker:
    """What the applications of a worker share."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._metrics = Metrics()
        pipelines = read_pipelines(plan.settings, plan.configs)
        searched = playground_pipelines(plan.settings, plan.configs, pipelines)
        self._service = ProcessScoring(
            model_table(plan.settings, pipelines, searched), plan.models, self._metrics.score_cache
        )
        self._searched = searched
        self._live = LivePipelines(self._open, self._metrics, plan.settings.limits.drain_s)
        self._shelf = Shelf(self._searched, self._service.opener)
        self._proxies = [self._proxy(settings) for settings in plan.settings.proxies]
        self._reloads: set[asyncio.Task[None]] = set()

    def app(self) -> ASGIApp:
        """The application for all ports."""
        api, *others = self._plan.ports
        apps: dict[int, ASGIApp] = {api: Observed(self._api(), "api", self._metrics)}
        for number, settings, proxy in zip(others, self._settings.proxies, self._proxies, strict=True):
            apps[number] = Observed(proxy, settings.engine, self._metrics)
        return Faces(apps, self._lifespan)

    def _api(self) -> ASGIApp:
        settings = self._settings
        app = FastAPIOffline(
            title="rebridge",
            version=version("rebridge"),
            description=_ABOUT,
            # It would put addresses and messages into spans and logs; `Observed` makes a span of every request.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        health = Health(self._plan.draining.is_set, self._service.ready, proxies=bool(settings.proxies))
        app.include_router(health_router(health, self._metrics, self._service.models))
        limits = settings.limits
        bounds = Limits(body_bytes=int(limits.body_mb * _MIB), documents=limits.documents, queue=limits.queue)
        # The guard is around the whole application; this has /docs offer a field for the key.
        told = [Depends(HTTPBearer(auto_error=False))] if settings.api_keys else []
        app.include_router(rerank_router(self._service, bounds), dependencies=told)
        if settings.has_playground:
            guarded = bool(settings.api_keys) or bool(settings.playground)
            app.include_router(playground_router(lambda: self._shelf, self._service.loaded, local=not guarded))
        return ApiKeys(BodyLimit(app, bounds.body_bytes), settings.api_keys)

    def _proxy(self, settings: ProxySettings) -> Proxy:
        return Proxy(
            cast(HttpConnector, connectors.load(settings.engine)),  # each of these engines has one
            partial(self._live.bridge, settings.engine),
            Upstream(**settings.model_dump(include={"url", "ca_certs", "verify", "timeout_s", "connections"})),
            body_limit=int(self._settings.limits.body_mb * _MIB),
            observer=self._metrics.search,
            tracing=[engine_tracing()],
        )

    def _open(self) -> dict[str, Bridge]:
        """The bridges, as the files say now; the playground's pipelines are remembered."""
        pipelines = read_pipelines(self._settings, self._plan.configs)
        searched = playground_pipelines(self._settings, self._plan.configs, pipelines)
        self._service.update(model_table(self._settings, pipelines, searched))
        bridges = open_bridges(self._settings, self._plan.configs, self._service.opener)
        self._searched = searched
        return bridges

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        async with AsyncExitStack() as stack:
            stack.callback(self._service.close)
            stack.callback(self._live.close)
            stack.callback(self._close_shelf)
            for proxy in self._proxies:
                await stack.enter_async_context(proxy)
            yield

    def _close_shelf(self) -> None:
        self._shelf.close()  # that which is in force by then

    def _reload(self) -> None:
        task = asyncio.ensure_future(self._reload_all())
        self._reloads.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._reloads.discard)

    async def _reload_all(self) -> None:
        if not await self._live.reload():
            return
        old, self._shelf = self._shelf, Shelf(self._searched, self._service.opener)
        loop = asyncio.get_running_loop()
        loop.call_later(self._settings.limits.drain_s, loop.run_in_executor, None, old.close)
