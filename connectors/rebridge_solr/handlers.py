"""What is known of request handlers: the first search that needs it asks, and others wait for the answer."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from rebridge.drivers import run, run_async
from rebridge.steps import Fetch
from rebridge.stories import Story
from rebridge_solr.learning import learning
from rebridge_solr.reading import handler_of
from rebridge_solr.request import Defaults, Request, texts

#: Seconds that an answer counts, and that a handler which did not tell is left alone.
AGE_S, RETRY_S = 300.0, 30.0
#: Handlers that are remembered.
MOST = 256

_log = logging.getLogger("rebridge")

ResultT = TypeVar("ResultT")

#: Yields a `Fetch` of each `rebridge_solr.learning.Ask`, and of futures whose results it needs; returns the defaults.
Learning = Generator[Fetch, Any, Defaults]


class Place(NamedTuple):
    """Where a handler is: address or collection of the client, handler, and collections that the request names."""

    address: str
    handler: str
    collections: tuple[str, ...]


def place_of(address: str, request: Request) -> Place:
    """The place of the handler that answers a request."""
    return Place(address, handler_of(request), texts(request.params.get("collection", ())))


class _Entry(NamedTuple):
    """A handler's defaults, or who waits for them; None for those whose learner was interrupted."""

    found: Future[Defaults | None]
    until: float


class Handlers:
    """What handlers do by themselves, for a while. Threads and tasks of several event loops may share it.

    Args:
        clock: seconds, as `time.monotonic`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._entries: dict[Place, _Entry] = {}

    def known(self, place: Place) -> Defaults | None:
        """What the handler at a place does by itself; None if it must be asked."""
        entry = self._entries.get(place)
        return entry.found.result() if entry and entry.found.done() and self._clock() < entry.until else None

    def defaults(self, place: Place, request: Request, decode: Callable[[Any], Any]) -> Learning:
        """What the handler at a place does by itself: remembered, or learnt now, by one search for all.

        Args:
            place: the place.
            request: a request for the handler.
            decode: from the text of a reply to its value.

        Returns:
            A story, to be run by `told` or `told_async`.
        """
        while True:
            found, is_first = self._entry(place)
            if is_first:
                return (yield from self._learnt(place, found, learning(request, decode)))
            defaults: Defaults | None = found.result() if found.done() else (yield Fetch(found))
            if defaults is not None:
                return defaults

    def _entry(self, place: Place) -> tuple[Future[Defaults | None], bool]:
        """What is known of a place or being learnt; and whether this is the first to ask, who must learn it."""
        with self._lock:
            entry = self._entries.get(place)
            if entry is not None and self._clock() < entry.until:
                return entry.found, False
            found: Future[Defaults | None] = Future()
            found.set_running_or_notify_cancel()  # so that nobody who stops waiting cancels it for the others
            self._keep(place, _Entry(found, math.inf))
            return found, True

    def _learnt(self, place: Place, found: Future[Defaults | None], story: Learning) -> Learning:
        defaults = None
        try:
            defaults = yield from story
        finally:
            with self._lock:
                self._entries.pop(place, None)
                if defaults is not None:
                    self._keep(place, _Entry(found, self._clock() + (AGE_S if defaults.told else RETRY_S)))
            found.set_result(defaults)
        if not defaults.told:
            _log.warning("handler %r of Solr does not tell its defaults: it is left alone for now", place.handler)
        return defaults

    def _keep(self, place: Place, entry: _Entry) -> None:
        self._entries.pop(place, None)
        self._entries[place] = entry
        while len(self._entries) > MOST:
            del self._entries[next(iter(self._entries))]


def told(story: Story[ResultT], ask: Callable[[Any], Any]) -> ResultT:
    """Run a story that may wait for handlers to be known, blocking; ``ask`` answers all that is no future."""
    with closing(story):
        return run(story, lambda step: step.result() if isinstance(step, Future) else ask(step))


async def told_async(story: Story[ResultT], ask: Callable[[Any], Awaitable[Any]]) -> ResultT:
    """As `told`, without blocking the event loop."""

    async def answer(step: Any) -> Any:
        return await (asyncio.wrap_future(step) if isinstance(step, Future) else ask(step))

    with closing(story):  # also when the task is cancelled, since others wait for what it learns
        return await run_async(story, answer)
