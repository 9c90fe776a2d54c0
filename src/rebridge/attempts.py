"""Asking a pipeline's scorer, and its fallbacks in order where it fails."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from rebridge.errors import NoPassages, ScorerError
from rebridge.passages import Passage
from rebridge.pipeline import Fallback, Pipeline
from rebridge.steps import Score, Windows

_log = logging.getLogger("rebridge")


@dataclass(frozen=True, slots=True)
class Scored:
    """What a scorer said.

    Attributes:
        windows: per passage the raw scores of its windows; nothing for one without text.
        rerank: one score per passage; None without text or a finite score.
        attempt: which scorer it was: 0 for the pipeline's own, then its fallbacks.
        model: its name.
        failures: why those before it gave no scores; empty if there were none.
    """

    windows: list[tuple[float, ...]]
    rerank: list[float | None]
    attempt: int
    model: str | None
    failures: str


def ask_scorers(
    query: str, passages: Sequence[Passage], pipeline: Pipeline, deadline: float | None, clock: Callable[[], float]
) -> Generator[Score, Any, Scored]:
    """Have the passages scored by the first scorer that can.

    Whatever a scorer raises, the next one is asked, as long as the deadline has not passed.

    Raises:
        NoPassages: if none has text.
        Exception: what the last scorer that was asked raised.
    """
    asked = tuple(passage.text for passage in passages if passage.text)
    if not asked:
        raise NoPassages(f"none of {len(passages)} candidates has text in {', '.join(pipeline.passage.fields)}")
    failures: list[str] = []
    chain = (Fallback(pipeline.model or ""), *pipeline.fallbacks)
    attempt = 0
    while True:
        windows = pipeline.passage.windows if chain[attempt].cuts else None
        try:
            spread, rerank = yield from _ask(Score(query, asked, windows, deadline, attempt), passages)
        except Exception as error:
            if attempt + 1 == len(chain) or (deadline is not None and clock() >= deadline):
                raise
            # A stack trace helps where the error is none of ours, and is noise where it is.
            trace = None if isinstance(error, ScorerError) else error
            failed, attempt = f"{chain[attempt].model}: {error}", attempt + 1
            _log.warning("%s: %s is asked, for %s", pipeline.index, chain[attempt].model, failed, exc_info=trace)
            failures.append(failed)
        else:
            return Scored(spread, rerank, attempt, chain[attempt].model or None, "; ".join(failures))


def _ask(
    step: Score, passages: Sequence[Passage]
) -> Generator[Score, Any, tuple[list[tuple[float, ...]], list[float | None]]]:
    """The scores of the windows and of the passages, by one scorer."""
    answer = yield step
    if len(answer) != len(step.passages):
        raise ScorerError(f"the scorer gave {len(answer)} scores for {len(step.passages)} passages")
    entries = iter(answer)
    spread = [tuple(next(entries)) if passage.text else () for passage in passages]
    rerank = [_pooled(scores, step.windows) for scores in spread]
    if all(score is None for score in rerank):
        raise ScorerError("the scorer gave no finite score")
    return spread, rerank


def _pooled(scores: Sequence[float], windows: Windows | None) -> float | None:
    """One score for a candidate; None if it has no passage or the model gave no finite score."""
    if not scores:
        return None
    score = scores[0] if windows is None else windows.pooled(scores)
    return score if math.isfinite(score) else None
