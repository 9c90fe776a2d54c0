"""The server's two faces as a worker has them, over fakes: the rerank API, and a proxy in front of an engine."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from tests.server.proxying import CONFIG, bridge
from tests.server.reranking import application

from rebridge.config import PipelineConfig
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.faces import Faces
from rebridge.server.metrics import Metrics
from rebridge.server.observing import Observed
from rebridge.server.protocol import BoundedHttp
from rebridge.server.proxy import Proxy, Upstream
from rebridge.server.rerank import Limits
from rebridge.server.security import ApiKeys, BodyLimit
from rebridge.server.sockets import bind, port

JSON = {"content-type": "application/json"}
SEARCH = b'{"query": {"match": {"title": "shoe"}}, "size": 3}'
#: Made once: reading the system's certificates takes longer than most tests.
_TLS = ssl.create_default_context()
RERANK = b'{"query": "q", "documents": ["a", "bb"]}'


@dataclass(frozen=True)
class Front:
    """A server that runs.

    Attributes:
        api: port of the rerank API.
        proxy: port of the proxy.
        metrics: the numbers of both.
    """

    api: int
    proxy: int
    metrics: Metrics

    def search(self, body: bytes = SEARCH, **headers: str) -> httpx.Response:
        """A search through the proxy; in the names of headers an underscore stands for a hyphen."""
        return ask("POST", self.proxy, "/shop/_search", body, headers)

    def get(self, path: str) -> httpx.Response:
        """Something else of the engine."""
        return ask("GET", self.proxy, path)

    def rerank(self, body: bytes = RERANK, **headers: str) -> httpx.Response:
        """A request to the API."""
        return ask("POST", self.api, "/v2/rerank", body, headers)


def ask(
    method: str, port: int, path: str, body: bytes | None = None, headers: Mapping[str, str | bytes] | None = None
) -> httpx.Response:
    """A request on a connection of its own."""
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    sent: Any = JSON | named if body is not None else named
    with httpx.Client(verify=_TLS, timeout=20) as client:
        return client.request(method, f"http://127.0.0.1:{port}{path}", content=body, headers=sent)


@contextmanager
def fronted(
    engine: str,
    scorer: Scorer | None = None,
    *,
    config: PipelineConfig = CONFIG,
    limits: Limits | None = None,
    keys: Any = (),
    kind: str = "elasticsearch",
    body_limit: int = 2**20,
    **upstream: Any,
) -> Iterator[Front]:
    """Serve both faces on free ports."""
    scorer, metrics = scorer or FakeScorer(lambda _, text: float(len(text))), Metrics()
    own = bridge(kind, config, scorer)
    proxy = Proxy(
        own.connector,  # type: ignore[arg-type] # those of engines have an HTTP face
        lambda: own,
        Upstream(engine, **upstream),
        body_limit=body_limit,
        observer=metrics.search,
    )
    bounds = limits or Limits(body_bytes=body_limit)
    api = ApiKeys(BodyLimit(application(scorer, bounds), bounds.body_bytes), keys)

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        async with proxy:
            yield

    with running(lambda ports: Faces(_faces(ports, api, proxy, kind, metrics), lifespan)) as ports:
        yield Front(*ports, metrics)


def _faces(ports: tuple[int, ...], api: Any, proxy: Any, kind: str, metrics: Metrics) -> dict[int, Any]:
    return {ports[0]: Observed(api, "api", metrics), ports[1]: Observed(proxy, kind, metrics)}


@contextmanager
def running(make: Any) -> Iterator[tuple[int, ...]]:
    """Serve what ``make`` makes of two ports, as a worker does."""
    sockets: list[socket.socket] = bind(["127.0.0.1:0", "127.0.0.1:0"])
    ports = tuple(map(port, sockets))
    config = uvicorn.Config(
        make(ports),
        http=BoundedHttp,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield ports
    finally:
        server.should_exit = True
        thread.join()
        for bound in sockets:
            bound.close()
