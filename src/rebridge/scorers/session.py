"""An event loop in a thread of its own, in which requests to one peer wait side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from rebridge.errors import ScorerError


class Channel(Protocol):
    """Connections to a peer."""

    async def close(self) -> None:
        """End them all."""


ChannelT = TypeVar("ChannelT", bound=Channel)
ResultT = TypeVar("ResultT")

# How long `close` waits for the thread, seconds.
_JOIN_SECONDS = 5.0


class Session(Generic[ChannelT]):
    """Runs work that needs a channel; the thread is started with the first one.

    Args:
        name: of the thread.
        open_channel: opens the channel, inside the event loop.
    """

    def __init__(self, name: str, open_channel: Callable[[], ChannelT]) -> None:
        self._name = name
        self._open_channel = open_channel
        # A scorer that nobody holds any more may be collected, and closed, by whoever holds the lock.
        self._lock = threading.RLock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: ChannelT | None = None
        self._end: asyncio.Event | None = None

    def run(self, work: Callable[[ChannelT], Awaitable[ResultT]]) -> Future[ResultT]:
        """Start some work. Cancelling the future cancels it.

        Raises:
            ScorerError: if the session is closed, or its thread or channel cannot be opened.
        """
        with self._lock:
            if self._closed:
                raise ScorerError("the scorer is closed")
            if self._thread is None or not self._thread.is_alive():  # not alive: after a fork
                self._start()
            assert self._loop is not None  # noqa: S101 - `_start` waits for it
            return asyncio.run_coroutine_threadsafe(self._work(work), self._loop)

    def close(self) -> None:
        """Fail what is not done, and end the thread."""
        with self._lock:
            self._closed = True
            loop, end, thread = self._loop, self._end, self._thread
        if loop is None or end is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(end.set)
        if thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)

    def _start(self) -> None:
        ready: Future[None] = Future()
        thread = threading.Thread(target=self._run, args=(ready,), name=self._name, daemon=True)
        try:
            thread.start()
            ready.result()
        except Exception as error:
            raise ScorerError(f"{self._name} cannot be started: {error}") from error
        self._thread = thread

    def _run(self, ready: Future[None]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live(ready))
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)  # it is for who started the thread, and waits

    async def _live(self, ready: Future[None]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._channel = self._open_channel()
        ready.set_result(None)
        await self._end.wait()
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._channel.close()

    async def _work(self, work: Callable[[ChannelT], Awaitable[ResultT]]) -> ResultT:
        assert self._channel is not None  # noqa: S101 - `_live` opened it before anything could be started
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(_heard)
        try:
            return await work(self._channel)
        except asyncio.CancelledError:
            if self._closed:
                raise ScorerError("the scorer was closed before all passages were scored") from None
            raise


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that comes when nobody waits any more, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()
