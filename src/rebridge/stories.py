"""Stories made of stories: steps changed on their way to the driver, and several searches told at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from rebridge.steps import Announce, Fetch, Scores

ResultT = TypeVar("ResultT")
Story = Generator[Any, Any, ResultT]


def relay(
    story: Story[ResultT], outward: Callable[[Any], Any], inward: Callable[[Any, Any], Any]
) -> Generator[Any, Any, ResultT]:
    """Run a story whose steps and answers are changed on their way.

    Args:
        story: the story.
        outward: makes of the story's step the step that is yielded.
        inward: makes of the story's step and the answer the answer that the story gets; what it raises, the story gets
            as a failure.

    Returns:
        What the story came to.
    """
    go_on, value = story.send, None
    while True:
        try:
            step = go_on(value)
        except StopIteration as stop:
            result: ResultT = stop.value
            return result
        try:
            value = inward(step, (yield outward(step)))
        except Exception as error:  # noqa: BLE001 - the story decides what becomes of it
            go_on, value = story.throw, error
        else:
            go_on = story.send


def together(
    stories: Sequence[Story[ResultT]],
) -> Generator[Fetch | Announce | Scores, Any, list[ResultT | Exception]]:
    """Run several searches in lockstep: what all need from the engine, or from scorers, is asked for at once.

    Args:
        stories: searches that yield `Fetch`, `Announce` and `Scores`.

    Yields:
        Each `Announce`; `Fetch` of a list of native requests, to be answered by a list of native replies, an exception
        in place of each that failed; and `Scores`. An exception thrown in ends all searches.

    Returns:
        For each search what it came to, or the exception that ended it.
    """
    results: dict[int, ResultT | Exception] = {}
    waiting: dict[int, Fetch | Scores] = {}
    announced: list[Announce] = []

    def advance(index: int, go_on: Callable[[Any], Any], value: Any) -> None:
        waiting.pop(index, None)
        try:
            step = go_on(value)
            while isinstance(step, Announce):
                announced.append(step)
                step = stories[index].send(None)
            waiting[index] = step
        except StopIteration as stop:
            results[index] = stop.value
        except Exception as error:  # noqa: BLE001 - it ends this search, and the caller is told
            results[index] = error

    for index, story in enumerate(stories):
        advance(index, story.send, None)
    while waiting:
        yield from announced
        announced.clear()
        fetches = {index: step for index, step in waiting.items() if isinstance(step, Fetch)}
        if fetches:
            # Searches that must ask the engine twice catch up first, so that all are scored at once.
            for index, answer in zip(fetches, (yield Fetch([step.request for step in fetches.values()])), strict=True):
                failed = isinstance(answer, Exception)
                advance(index, stories[index].throw if failed else stories[index].send, answer)
            continue
        scores = {index: step for index, step in waiting.items() if isinstance(step, Scores)}
        answers = iter((yield Scores(tuple(ask for step in scores.values() for ask in step.asks))))
        for index, step in scores.items():
            advance(index, stories[index].send, [next(answers) for _ in step.asks])
    return [results[index] for index in range(len(stories))]
