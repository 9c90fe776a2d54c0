"""Several searches in lockstep: what all of them need from the engine, or from the scorer, is asked for at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from rebridge.flow import Flow, Outcome
from rebridge.scorers.base import Scorer
from rebridge.steps import Fetch, Score, Scores

Results = list[Outcome[Any] | Exception]


def together(flows: Sequence[tuple[Flow[Any], Scorer | None]]) -> Generator[Fetch | Scores, Any, Results]:
    """Run several searches as one.

    Args:
        flows: the searches, each with its scorer.

    Yields:
        `Fetch` of a list of native requests, to be answered by a list of native replies, an exception in place of each
        that failed; and `Scores`. An exception thrown in ends all searches.

    Returns:
        For each search what it came to, or the exception that ended it.
    """
    results: dict[int, Outcome[Any] | Exception] = {}
    waiting: dict[int, Fetch | Score] = {}

    def advance(index: int, resume: Callable[[Any], Fetch | Score], value: Any) -> None:
        try:
            waiting[index] = resume(value)
        except StopIteration as stop:
            results[index] = stop.value
        except Exception as error:  # noqa: BLE001 - it ends this search, and the caller is told
            results[index] = error

    for index, (flow, _) in enumerate(flows):
        advance(index, flow.send, None)
    while waiting:
        fetches = {index: step for index, step in waiting.items() if isinstance(step, Fetch)}
        scores = {index: step for index, step in waiting.items() if isinstance(step, Score)}
        # Searches that must ask the engine twice catch up first, so that all are scored at once.
        asked = list(fetches or scores)
        answers = yield (
            Fetch([step.request for step in fetches.values()])
            if fetches
            else Scores(tuple((step, flows[index][1]) for index, step in scores.items()))
        )
        for index, answer in zip(asked, answers, strict=True):
            del waiting[index]
            flow = flows[index][0]
            advance(index, flow.throw if isinstance(answer, Exception) else flow.send, answer)
    return [results[index] for index in range(len(flows))]
