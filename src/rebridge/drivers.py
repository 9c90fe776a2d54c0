"""The two drivers of the story: they carry out what `rebridge.flow` asks for, one blocking, one awaiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from rebridge.errors import DeadlineExceeded, ScorerError
from rebridge.flow import Flow, Outcome
from rebridge.scorers.base import Scorer
from rebridge.steps import Fetch, Score


def run(flow: Flow[Any], send: Callable[[Any], Any], scorer: Scorer | None) -> Outcome[Any]:
    """Run a search to its end, blocking.

    Args:
        flow: the search, from `rebridge.flow.rerank_flow`.
        send: sends a native request to the engine and returns its reply.
        scorer: scores passages; None only for a flow that asks for no scores.

    Returns:
        What the search came to.

    Raises:
        Exception: whatever ``send`` raised, unchanged; the scorer's error if the pipeline says so.
    """

    def carry_out(step: Fetch | Score) -> Any:
        if isinstance(step, Fetch):
            return send(step.request)
        future = _submit(scorer, step)
        try:
            return future.result(_left(step))
        except TimeoutError as error:
            if future.done():  # the scorer's own failure, or an answer at the last moment
                return future.result()
            raise _given_up(future, step) from error
        except CancelledError as error:
            raise ScorerError("the scorer gave the work up") from error
        except BaseException:
            future.cancel()  # Ctrl-C while waiting
            raise

    step: Fetch | Score | Outcome[Any] = next(flow)
    while not isinstance(step, Outcome):
        try:
            answer = carry_out(step)
        except Exception as error:  # noqa: BLE001 - the flow decides what becomes of it
            step = _resume(flow.throw, error)
        else:
            step = _resume(flow.send, answer)
    return step


async def run_async(flow: Flow[Any], send: Callable[[Any], Awaitable[Any]], scorer: Scorer | None) -> Outcome[Any]:
    """Run a search to its end without blocking the event loop; as `run` otherwise.

    Cancelling the task cancels the scoring too.
    """

    async def carry_out(step: Fetch | Score) -> Any:
        if isinstance(step, Fetch):
            return await send(step.request)
        future = _submit(scorer, step)
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_heard)
        # Not `wait_for`, which cannot tell our deadline from a failure of the scorer.
        try:
            await asyncio.wait({waiting}, timeout=_left(step))
        except asyncio.CancelledError:
            future.cancel()
            raise
        if future.cancelled():
            raise ScorerError("the scorer gave the work up")
        if not future.done():
            raise _given_up(future, step)
        return future.result()

    step: Fetch | Score | Outcome[Any] = next(flow)
    while not isinstance(step, Outcome):
        try:
            answer = await carry_out(step)
        except Exception as error:  # noqa: BLE001 - the flow decides what becomes of it
            step = _resume(flow.throw, error)
        else:
            step = _resume(flow.send, answer)
    return step


def _resume(go_on: Callable[[Any], Fetch | Score], value: Any) -> Fetch | Score | Outcome[Any]:
    """Hand an answer or a failure to the flow: its next step, or what it came to."""
    try:
        return go_on(value)
    except StopIteration as stop:
        outcome: Outcome[Any] = stop.value
        return outcome


def _submit(scorer: Scorer | None, step: Score) -> Future[list[tuple[float, ...]]]:
    if scorer is None:
        raise ScorerError("there is no scorer")
    return scorer.submit(step.query, step.passages, windows=step.windows, deadline=step.deadline)


def _left(step: Score) -> float | None:
    return None if step.deadline is None else max(0.0, step.deadline - time.monotonic())


def _heard(waiting: asyncio.Future[Any]) -> None:
    """Take note of a failure that comes when nobody waits any more, so that asyncio does not complain."""
    if not waiting.cancelled():
        waiting.exception()


def _given_up(future: Future[Any], step: Score) -> DeadlineExceeded:
    future.cancel()
    return DeadlineExceeded(f"no scores for {len(step.passages)} passages before the deadline")
