"""The page, its parts, and what it asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from rebridge.errors import BadReply, ConnectorError, RebridgeError, ScorerError
from rebridge.scorer_section import ScorerSection
from rebridge.server.playground.answers import PipelineInfo, Pipelines, Question
from rebridge.server.playground.searching import ask
from rebridge.server.playground.shelf import Shelf
from rebridge.server.rerank.desk import Caller, ClientGone, caller
from rebridge.server.rerank.problems import NATIVE
from rebridge.server.rerank.route import reply, route_class

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
#: A question is short.
_MOST_BYTES = 64 * 2**10
#: Threads that wait for engines: an engine that hangs must not take up those that others need.
_THREADS = 8

#: https://www.w3.org/TR/CSP3/: nothing from elsewhere, no script or style in the page itself, in no frame.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

_log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")


def playground_router(
    shelf: Callable[[], Shelf], loaded: Callable[[Sequence[ScorerSection]], Sequence[bool | None]], *, local: bool
) -> APIRouter:
    """``GET /`` and what the page asks for.

    Args:
        shelf: the pipelines as they are now.
        loaded: whether the models of sections are in memory; may wait for a moment.
        local: answer only requests to an address of this machine or to ``localhost``. It keeps pages from elsewhere
            out that give this machine a name of their own (DNS rebinding), where no API key does.
    """
    router = APIRouter(include_in_schema=False, route_class=route_class(lambda _: NATIVE, _MOST_BYTES))
    limiter = CapacityLimiter(_THREADS)
    guards = [Depends(_to_this_machine)] if local else []

    for path, file in _files().items():
        router.add_api_route(path, _sender(file), methods=["GET", "HEAD"])

    @router.get("/playground/pipelines", dependencies=guards)
    async def pipelines() -> Response:
        configs = shelf().configs
        known = await to_thread.run_sync(loaded, [config.scorer for config in configs.values()])
        infos = [
            PipelineInfo(
                name=name,
                engine=config.connector.name,
                model=config.scorer.name,
                loaded=state,
                rank_window=config.rank_window,
                fusion=config.fusion.method,
                min_rerank_score=config.min_rerank_score,
            )
            for (name, config), state in zip(configs.items(), known, strict=True)
        ]
        return reply(Pipelines(pipelines=infos), sparse=False)

    @router.post("/playground/search", dependencies=guards)
    async def search(question: Question, who: Annotated[Caller, Depends(caller)]) -> Response:
        now = shelf()
        if question.pipeline not in now.configs:
            return _refusal(404, "unknown_pipeline", f"There is no pipeline {question.pipeline!r}.")

        async def answer() -> Response:
            searcher = await to_thread.run_sync(
                now.searcher, question.pipeline, limiter=limiter, abandon_on_cancel=True
            )
            return reply(await ask(searcher, question, limiter), sparse=False)

        try:
            return await _while_waited_for(answer(), who)
        except RebridgeError as error:
            return _failure(error)

    return router


def _files() -> Mapping[str, Path]:
    """The page's parts by path."""
    parts = sorted(path for path in _STATIC.iterdir() if path.suffix in _TYPES)
    return {"/" if path.name == "index.html" else f"/playground/static/{path.name}": path for path in parts}


def _sender(file: Path) -> Callable[[], Awaitable[Response]]:
    content, kind = file.read_bytes(), f"{_TYPES[file.suffix]}; charset=utf-8"

    async def send() -> Response:
        return Response(content, headers=_HEADERS | {"Content-Type": kind})

    return send


async def _while_waited_for(work: Awaitable[ResultT], who: Caller) -> ResultT:
    """What the work comes to, which ends early if the client leaves.

    Raises:
        ClientGone: if it did.
    """
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(who.gone())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return await working
    finally:
        working.cancel()
        gone.cancel()


def _failure(error: RebridgeError) -> Response:
    """What the page is told where there is no answer."""
    if isinstance(error, ScorerError):
        return _refusal(503, error.reason, str(error))
    if isinstance(error, BadReply):  # which holds documents
        return _refusal(502, "bad_reply", f"{error.engine} answered, but with no search reply: {error.problem}.")
    if isinstance(error, ConnectorError):
        return _refusal(502, "engine", str(error))
    _log.error("a search of the playground failed: %s", error)
    return _refusal(502, "pipeline", str(error))


def _refusal(status: int, reason: str, message: str) -> Response:
    return JSONResponse({"error": {"reason": reason, "message": message}}, status)


def _to_this_machine(request: Request) -> None:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    try:
        known = host == "localhost" or host.endswith(".localhost") or bool(ip_address(host))
    except ValueError:
        known = False
    if not known:
        raise HTTPException(403, "This server has no API keys: it answers the playground only under its IP address.")
