"""A proxy in front of something, served by uvicorn in a thread."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.routing import Router

from rebridge import PipelineConfig
from rebridge.bridge import Bridge
from rebridge.connector import load
from rebridge.passages import PassageTemplate
from rebridge.scorers.base import Scorer
from rebridge.server.proxy import Proxy, Upstream
from rebridge.testing import FakeScorer

CONFIG = PipelineConfig(rank_window=20, passage=PassageTemplate("{title}"))


def bridge(
    engine: str, config: PipelineConfig | Mapping[str, PipelineConfig] = CONFIG, scorer: Scorer | None = None
) -> Bridge:
    return Bridge(load(engine), config, scorer=scorer or FakeScorer(default=1.0))


@contextmanager
def proxied(engine: str, url: str, pipelines: Bridge | None = None, **options: Any) -> Iterator[str]:
    """The address of a proxy for an engine; ``timeout_s`` and the like are options of the upstream."""
    own = pipelines or bridge(engine)
    known = {name: options.pop(name) for name in ("timeout_s", "connections", "ca_certs", "verify") if name in options}
    proxy = Proxy(own.connector, lambda: own, Upstream(url, **known), **options)  # type: ignore[arg-type]
    with serving(proxy) as address:
        yield address


@contextmanager
def serving(proxy: Proxy) -> Iterator[str]:
    """Serve a proxy on a free port of loopback."""

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        async with proxy:
            yield

    router = Router(lifespan=lifespan)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (router.lifespan if scope["type"] == "lifespan" else proxy)(scope, receive, send)

    config = uvicorn.Config(
        app, port=0, log_level="critical", server_header=False, date_header=False, ws="none", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def ask(
    address: str,
    method: str,
    target: str,
    headers: list[tuple[str, str]] | None = None,
    body: Any = None,
    *,
    timeout: float = 20,
) -> tuple[int, list[tuple[str, str]], bytes]:
    """A request exactly as it is given, and the reply to it. A body of several pieces is sent in chunks."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=timeout)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        chunked = isinstance(body, list)
        given = [("host", "shop.example"), *(headers or [])]
        if chunked:
            given.append(("transfer-encoding", "chunked"))
        elif body is not None:
            given.append(("content-length", str(len(body))))
        for name, value in given:
            connection.putheader(name, value)
        connection.endheaders(iter(body) if chunked else body, encode_chunked=chunked)
        reply = connection.getresponse()
        return reply.status, reply.getheaders(), reply.read()
    finally:
        connection.close()
