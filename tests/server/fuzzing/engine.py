"""An engine that answers what it is told to, and a proxy in front of it, both in one event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from tests.server.proxying import CONFIG, bridge

from rebridge.config import PipelineConfig
from rebridge.scorers import Scorer
from rebridge.server.proxy import Proxy, Upstream

from .asking import Answer, Headers, Loop, ask, loop

_OPTIONS: Any = {"max_field_size": 100_000, "max_line_size": 100_000, "auto_decompress": False}
ALLOWED = {"rank_window": True, "skip": True, "deadline": True, "models": {"fake": {}}}


class AnyEngine:
    """Gives the same reply to every request.

    Args:
        about: its reply to questions about itself, by their target; None for what is no such question.
    """

    def __init__(self, about: Callable[[str], str | None]) -> None:
        self._about = about
        self._runner: web.ServerRunner | None = None
        self._reply: dict[str, Any] = {}

    def answers(self, status: int, kind: str, body: bytes, *, packed: bool = False) -> None:
        """Set the reply."""
        headers = {"content-type": kind, **({"content-encoding": "gzip"} if packed else {})}
        self._reply = {"status": status, "body": body, "headers": headers}

    async def start(self) -> str:
        """Its address."""
        self._runner = web.ServerRunner(web.Server(self._answer, **_OPTIONS))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        if (told := self._about(request.path_qs)) is not None:
            return web.Response(text=told, content_type="application/json")
        return web.Response(**self._reply)


@dataclass(frozen=True)
class Place:
    """A proxy in front of such an engine."""

    kind: str
    engine: AnyEngine
    proxy: Proxy
    loop: Loop

    def ask(self, method: str, target: str, headers: Headers, chunks: list[bytes]) -> Answer:
        """The proxy's answer, in time."""
        return self.loop.run(ask(self.proxy, method, target, headers, chunks))


@contextmanager
def place(kind: str, scorer: Scorer, about: Callable[[str], str | None] = lambda _: None) -> Iterator[Place]:
    """A proxy whose pipeline allows everything to be overridden."""
    free = CONFIG.model_dump() | {"overrides": ALLOWED}
    pipelines = bridge(kind, {"shop": PipelineConfig.model_validate(free), "*": CONFIG}, scorer)
    engine = AnyEngine(about)
    with loop() as running:
        url = running.run(engine.start())
        proxy = Proxy(pipelines.connector, lambda: pipelines, Upstream(url, timeout_s=20))  # type: ignore[arg-type]
        running.run(proxy.__aenter__())
        try:
            yield Place(kind, engine, proxy, running)
        finally:
            running.run(proxy.__aexit__(None, None, None))
            running.run(engine.stop())
