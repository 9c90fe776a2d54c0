"""The two drivers of the story: they carry out what `rebridge.flow` asks for, one blocking, one awaiting."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rebridge.errors import DeadlineExceeded, ScorerError
from rebridge.scorers.base import Scorer
from rebridge.steps import Announce, Fetch, Score, Scores
from rebridge.stories import Story

ResultT = TypeVar("ResultT")

_log = logging.getLogger("rebridge")

Answer = list[tuple[float, ...]]
#: A scorer, or a pipeline's scorer and its fallbacks in order.
Scorers = Scorer | Sequence[Scorer] | None


@dataclass(frozen=True, slots=True)
class _Done(Generic[ResultT]):
    result: ResultT


def run(story: Story[ResultT], send: Callable[[Any], Any], scorer: Scorers = None) -> ResultT:
    """Run a search to its end, blocking.

    Args:
        story: the search, from `rebridge.flow.rerank_flow` and the like.
        send: sends a native request to the engine and returns its reply.
        scorer: scores passages; a sequence if the pipeline has fallbacks: its scorer, and then these. None only for a
            story that asks for no scores, or brings its own scorers.

    Returns:
        What the search came to.

    Raises:
        Exception: whatever ``send`` raised, unchanged; the scorer's error if the pipeline says so.
    """

    def carry_out(step: Fetch | Score | Scores) -> Any:
        if isinstance(step, Fetch):
            return send(step.request)
        if isinstance(step, Score):
            return _wait(_submit(scorer, step), step)
        # All are queued before one is waited for, so that they share batches.
        futures = [(_submitted(owner, ask), ask) for ask, owner in step.asks]
        try:
            return [_settled(future, ask) for future, ask in futures]
        except BaseException:
            for future, _ in futures:
                future.cancel()
            raise

    step = _resume(story, scorer)
    while not isinstance(step, _Done):
        try:
            answer = carry_out(step)
        except Exception as error:  # noqa: BLE001 - the story decides what becomes of it
            step = _resume(story, scorer, failure=error)
        else:
            step = _resume(story, scorer, answer)
    result: ResultT = step.result
    return result


async def _at_once() -> None:
    """Nobody has to wait for a turn."""


async def run_async(
    story: Story[ResultT],
    send: Callable[[Any], Awaitable[Any]],
    scorer: Scorers = None,
    *,
    turn: Callable[[], Awaitable[None]] = _at_once,
) -> ResultT:
    """Run a search to its end without blocking the event loop; as `run` otherwise.

    Cancelling the task cancels the scoring too.

    Args:
        story: as of `run`.
        send: likewise.
        scorer: likewise.
        turn: awaited before the story goes on with an answer, which takes the processor for some milliseconds.
    """

    async def carry_out(step: Fetch | Score | Scores) -> Any:
        if isinstance(step, Fetch):
            return await send(step.request)
        if isinstance(step, Score):
            return await _wait_async(_submit(scorer, step), step)
        futures = [_wait_async(_submitted(owner, ask), ask) for ask, owner in step.asks]
        return await asyncio.gather(*futures, return_exceptions=True)

    step = _resume(story, scorer)
    while not isinstance(step, _Done):
        try:
            answer = await carry_out(step)
        except Exception as error:  # noqa: BLE001 - the story decides what becomes of it
            await turn()
            step = _resume(story, scorer, failure=error)
        else:
            await turn()
            step = _resume(story, scorer, answer)
    result: ResultT = step.result
    return result


def _resume(story: Story[Any], scorer: Scorers, answer: Any = None, failure: Exception | None = None) -> Any:
    """Hand an answer or a failure to the story: the next step that has to be waited for, or what it came to."""
    try:
        step = story.send(answer) if failure is None else story.throw(failure)
        while isinstance(step, Announce):
            _announce(_chosen(scorer if step.scorers is None else step.scorers, 0), step)
            step = story.send(None)
    except StopIteration as stop:
        return _Done(stop.value)
    return step


def _announce(scorer: Scorer | None, step: Announce) -> None:
    """Nothing depends on it: what is wrong shows when the scorer is asked for scores."""
    if scorer is not None:
        try:
            scorer.announce(step.query, deadline=step.deadline)
        except Exception as error:  # noqa: BLE001 - a scorer may be anybody's
            _log.debug("%s cannot be told of a query", scorer.name, exc_info=error)


def _chosen(scorer: Scorers, attempt: int) -> Scorer | None:
    """The scorer of an attempt; None if there is none."""
    chain = scorer if isinstance(scorer, Sequence) else [scorer]
    return chain[attempt] if attempt < len(chain) else None


def _submit(scorer: Scorers, step: Score) -> Future[Answer]:
    chosen = _chosen(scorer, step.attempt)
    if chosen is None:
        raise ScorerError("there is no scorer")
    return chosen.submit(step.query, step.passages, windows=step.windows, deadline=step.deadline)


def _submitted(scorer: Scorers, step: Score) -> Future[Answer]:
    """As `_submit`, with a failure to queue as the future's own."""
    try:
        return _submit(scorer, step)
    except Exception as error:  # noqa: BLE001 - it belongs to this search, not to the others
        failed: Future[Answer] = Future()
        failed.set_exception(error)
        return failed


def _wait(future: Future[Answer], step: Score) -> Answer:
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


def _settled(future: Future[Answer], step: Score) -> Answer | Exception:
    try:
        return _wait(future, step)
    except Exception as error:  # noqa: BLE001 - the answer to one search among others
        return error


async def _wait_async(future: Future[Answer], step: Score) -> Answer:
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


def _left(step: Score) -> float | None:
    return None if step.deadline is None else max(0.0, step.deadline - time.monotonic())


def _heard(waiting: asyncio.Future[Any]) -> None:
    """Take note of a failure that comes when nobody waits any more, so that asyncio does not complain."""
    if not waiting.cancelled():
        waiting.exception()


def _given_up(future: Future[Any], step: Score) -> DeadlineExceeded:
    future.cancel()
    return DeadlineExceeded(f"no scores for {len(step.passages)} passages before the deadline")
