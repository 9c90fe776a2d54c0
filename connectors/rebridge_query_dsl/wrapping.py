"""Reranking below a client's own methods: between what builds an HTTP call and what sends it.

So the client itself turns its arguments into a request, in whatever way its version does, and its own checks,
deprecations and instrumentation stay in force.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from rebridge.bridge import Bridge
from rebridge.drivers import run, run_async
from rebridge.steps import Fetch
from rebridge.stories import Story
from rebridge.subclassing import above, itself, with_rerank_query
from rebridge_query_dsl.answering import readable, searched, searched_together
from rebridge_query_dsl.exchange import Call, Multi, OddResponse, Responses, Single


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


def answer(client: Any, call: Call, send: Callable[[Call], Any], responses: Responses, rerank_query: str | None) -> Any:
    """Answer a client's search call; to be awaited if the client is asynchronous.

    Args:
        client: the wrapped client.
        call: its own call.
        send: sends a call and returns the client's response to it; to be awaited likewise.
        responses: how to look into the client's responses.
        rerank_query: the words for the model, if they are not those of the query.

    Returns:
        A response like those.
    """
    if call.path.endswith("/_msearch"):
        story = _multi(client.rebridge, Multi(call, responses), call)
    else:
        story = _single(client.rebridge, Single(call, responses, rerank_query), call)
    return (run_async if is_async(client) else run)(story, send)


# Both yield `Fetch` of a `Call`, to be answered by the client's response to it, and `Scores`; both return a response.
def _single(bridge: Bridge, single: Single, call: Call) -> Story[Any]:
    if not (yield from readable(bridge, single)):
        bridge.passed(single.target, "template")
        return (yield Fetch(call))
    return single.finished((yield from searched(bridge, single)))


def _multi(bridge: Bridge, multi: Multi, call: Call) -> Story[Any]:
    if multi.unreadable is not None:
        bridge.passed(multi.target, multi.unreadable)
        return (yield Fetch(call))
    try:
        return multi.finished((yield from searched_together(bridge, multi)))
    except OddResponse as odd:
        return odd.response
