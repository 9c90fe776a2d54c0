"""Reranking below a client's own methods: between what builds an HTTP call and what sends it.

So the client itself turns its arguments into a request, in whatever way its version does, and its own checks,
deprecations and instrumentation stay in force.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rebridge.bridge import Bridge
from rebridge.subclassing import above, itself, with_rerank_query
from rebridge_query_dsl.exchange import Call, Multi, OddResponse, Responses, Single

_log = logging.getLogger("rebridge")

_SEARCHES = ("_search", "_search/template", "_msearch")

Send = Callable[[Call], Any]
SendAsync = Callable[[Call], Awaitable[Any]]


def search_methods(base: type[Any], door: Callable[[Any, str | None], Any]) -> dict[str, Any]:
    """The methods that a wrapped client's class overrides.

    Args:
        base: the class of the client.
        door: makes a stand-in for a client whose search calls go through `answer`, given also the ``rerank_query``.
    """
    methods = {name: _explicit(name, getattr(base, name), door) for name in ("search", "search_template")}
    return {**methods, "msearch": _plain(base.msearch, door), "close": _closing(base)}


def is_async(client: Any) -> bool:
    """Whether a client's, or a client class's, methods are to be awaited."""
    return hasattr(client, "__aenter__")


def _explicit(name: str, bare: Any, door: Callable[[Any, str | None], Any]) -> Any:
    @functools.wraps(bare)
    def method(self: Any, *args: Any, rerank_query: str | None = None, **kwargs: Any) -> Any:
        return above(self if self.rebridge is None else door(itself(self), rerank_query), name)(*args, **kwargs)

    method.__signature__ = with_rerank_query(bare)  # type: ignore[attr-defined]
    return method


def _plain(bare: Any, door: Callable[[Any, str | None], Any]) -> Any:
    @functools.wraps(bare)
    def msearch(self: Any, *args: Any, **kwargs: Any) -> Any:
        return above(self if self.rebridge is None else door(itself(self), None), "msearch")(*args, **kwargs)

    msearch.__signature__ = inspect.signature(bare)  # type: ignore[attr-defined]
    return msearch


def _closing(base: type[Any]) -> Any:
    """The client's `close`, which frees the models too."""

    @functools.wraps(base.close)
    def close(self: Any) -> None:
        above(self, "close")()
        if self.rebridge is not None:
            self.rebridge.close()

    @functools.wraps(base.close)
    async def close_async(self: Any) -> None:
        await above(self, "close")()
        if self.rebridge is not None:
            await asyncio.to_thread(self.rebridge.close)

    return close_async if is_async(base) else close


def is_search(path: str) -> bool:
    """Whether a path is that of a search, search template or multi-search."""
    parts = path.strip("/").split("/", 1)
    return "/".join(parts) in _SEARCHES or parts[-1] in _SEARCHES


def answer(bridge: Bridge, call: Call, send: Send, responses: Responses, rerank_query: str | None) -> Any:
    """Answer a search call of a client.

    Args:
        bridge: the pipelines.
        call: the client's own call.
        send: sends a call and returns the client's response to it.
        responses: how to look into such responses.
        rerank_query: the words for the model, if they are not those of the query.

    Returns:
        A response as ``send`` gives it.
    """
    if call.path.endswith("/_msearch"):
        multi = Multi(call, responses, rerank_query)
        if not multi.readable:
            return send(call)
        try:
            results = bridge.answer_all(
                [(request.index, request) for request in multi.requests],
                lambda natives: multi.received(send(multi.call(natives)), len(natives)),
            )
        except OddResponse as odd:
            return odd.response
        return multi.finished(results)
    single = Single(call, responses, rerank_query)
    if not single.readable:
        return send(call)
    if single.is_template and not (bridge.serves(single.target) and _render(single, send)):
        return send(call)
    outcome = bridge.answer(single.target, single.request, lambda native: single.received(send(single.call(native))))
    return single.finished(outcome)


async def answer_async(
    bridge: Bridge, call: Call, send: SendAsync, responses: Responses, rerank_query: str | None
) -> Any:
    """As `answer`, without blocking the event loop."""
    if call.path.endswith("/_msearch"):
        multi = Multi(call, responses, rerank_query)
        if not multi.readable:
            return await send(call)

        async def fetch_all(natives: list[Any]) -> list[Any]:
            return multi.received(await send(multi.call(natives)), len(natives))

        searches = [(request.index, request) for request in multi.requests]
        try:
            return multi.finished(await bridge.answer_all_async(searches, fetch_all))
        except OddResponse as odd:
            return odd.response
    single = Single(call, responses, rerank_query)
    if not single.readable:
        return await send(call)
    if single.is_template and not (bridge.serves(single.target) and await _render_async(single, send)):
        return await send(call)

    async def fetch(native: Any) -> Any:
        return single.received(await send(single.call(native)))

    return single.finished(await bridge.answer_async(single.target, single.request, fetch))


def _render(single: Single, send: Send) -> bool:
    try:
        return single.rendered(send(single.rendering()))
    except Exception as error:  # noqa: BLE001 - then the engine answers the template itself, or says what is wrong
        _log.debug("a search template cannot be rendered and passes through: %s", error)
        return False


async def _render_async(single: Single, send: SendAsync) -> bool:
    try:
        return single.rendered(await send(single.rendering()))
    except Exception as error:  # noqa: BLE001 - as above
        _log.debug("a search template cannot be rendered and passes through: %s", error)
        return False
