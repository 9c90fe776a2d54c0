"""Where all dialects hand in what they want scored: bounded, in time, and only as long as the client waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from rebridge.errors import ScorerError
from rebridge.scorers.base import Activation, Scorer, activate
from rebridge.server.rerank.documents import finite
from rebridge.server.rerank.limits import Limits
from rebridge.server.rerank.problems import Problem, problem_of
from rebridge.server.scoring import ScoringService
from rebridge.steps import Windows

#: The longest deadline of a request, milliseconds: a day. A body may name a longer one.
_LONGEST_MS = 86_400_000

_log = logging.getLogger(__name__)

Rows = list[tuple[float, ...]]

DeadlineHeader = Annotated[
    Annotated[int, Field(ge=1, le=_LONGEST_MS)] | SkipJsonSchema[None],
    Header(
        alias="X-Rerank-Deadline-Ms",
        description="Milliseconds after which nobody waits for the answer any more: 504.",
    ),
]


class ClientGone(Exception):
    """The client has closed its connection: nobody reads the answer."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who waits for an answer.

    Attributes:
        gone: returns when the client has left.
        deadline_ms: how long it waits; None if it does not say.
        since: `time.monotonic` value when the request came.
    """

    gone: Callable[[], Awaitable[None]]
    deadline_ms: int | None
    since: float


def caller(request: Request, deadline_ms: DeadlineHeader = None) -> Caller:
    """The caller of a request; for FastAPI's ``Depends``."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return Caller(gone, deadline_ms, time.monotonic())


@dataclass(frozen=True, slots=True)
class Ask:
    """Passages to score against a query."""

    query: str
    passages: Sequence[str]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model gave.

    Attributes:
        model: the model's name.
        activation: what makes official scores of raw ones.
        rows: per passage its raw scores; NaN where there is none.
        reads_queries: see `Scorer`.
    """

    model: str
    activation: Activation
    rows: Rows
    reads_queries: bool = False

    def raw(self) -> list[float]:
        """The raw score of each passage; NaN where there is none."""
        return [row[-1] for row in self.rows]

    def shown(self, *, raw: bool = False) -> list[float]:
        """The score of each passage as a dialect shows it, always finite: the official one, or the raw one.

        A passage without a score gets the lowest.
        """
        scores = self.raw()
        if raw or self.activation == "identity":
            return finite(scores, None)
        known = [activate(score, self.activation) if math.isfinite(score) else math.nan for score in scores]
        return finite(known, 0.0)


class Desk:
    """Hands passages to models.

    Args:
        service: the models.
        limits: what is allowed.
    """

    def __init__(self, service: ScoringService, limits: Limits) -> None:
        self.service = service
        self.limits = limits
        self.waiting = 0

    async def score(
        self,
        who: Caller,
        model: str | None,
        asks: Sequence[Ask],
        *,
        windows: Windows | None = None,
        layers: bool = False,
    ) -> Scored:
        """The scores of all passages of all asks, in order.

        Args:
            who: the caller.
            model: name of the model; None for the default.
            asks: what to score.
            windows: cut passages into windows of tokens; see `Scorer.submit`.
            layers: the scores after every layer instead; see `Scorer.submit_layers`.

        Raises:
            Problem: whatever keeps the client from getting scores.
            ClientGone: if it has left.
        """
        self._check(asks, windows)
        deadline = self._deadline(who)

        def submit(scorer: Scorer, ask: Ask) -> Future[Rows]:
            if layers:
                return scorer.submit_layers(ask.query, ask.passages)
            return scorer.submit(ask.query, ask.passages, windows=windows, deadline=deadline)

        with self._place(), _translated():
            scorer = self.service.scorer(model)
            asked = [ask for ask in asks if ask.passages]
            futures: list[Future[Rows]] = []
            try:
                futures.extend(submit(scorer, ask) for ask in asked)
                answers = await _answers(futures, who, deadline)
            finally:
                for future in futures:
                    future.cancel()
            for ask, rows in zip(asked, answers, strict=True):
                if len(rows) != len(ask.passages) or not all(rows):
                    raise ScorerError(f"{scorer.name} gave {len(rows)} scores for {len(ask.passages)} passages")
            rows = [row for rows in answers for row in rows]
            return Scored(scorer.name, scorer.activation, rows, scorer.reads_queries)

    def announce(self, who: Caller, model: str | None, query: str) -> None:
        """Say that passages for a query are likely to follow; see `Scorer.announce`. Arguments as of `score`."""
        with _translated():
            self.service.scorer(model).announce(query, deadline=self._deadline(who))

    def _deadline(self, who: Caller) -> float:
        wait_s = self.limits.deadline_s if who.deadline_ms is None else min(who.deadline_ms, _LONGEST_MS) / 1000
        return who.since + wait_s

    def _check(self, asks: Sequence[Ask], windows: Windows | None) -> None:
        count, most = sum(len(ask.passages) for ask in asks), self.limits.documents
        if count > most:
            raise Problem("too_many", f"{count} documents are more than the {most} that a request may have: split it")
        cut, most = 0 if windows is None else count * windows.limit, self.limits.windows
        if cut > most:
            raise Problem("too_many", f"{cut} windows are more than the {most} that a request may have: split it")
        longest, most = max((len(ask.query) for ask in asks), default=0), self.limits.query_characters
        if longest > most:
            raise Problem("too_many", f"the query has {longest} characters, more than the {most} that it may have")

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """A place among those who wait."""
        if self.waiting >= self.limits.queue:
            raise Problem("busy", f"{self.waiting} requests wait for scores already", self.limits.retry_after_s)
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


async def _answers(futures: Sequence[Future[Rows]], who: Caller, deadline: float) -> list[Rows]:
    """What the futures give, unless the client leaves before, or its deadline passes."""
    scores: asyncio.Future[list[Rows]] = asyncio.gather(*map(asyncio.wrap_future, futures))
    scores.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to hear of it
    gone = asyncio.ensure_future(who.gone())
    waits: set[asyncio.Future[Any]] = {scores, gone}
    try:
        await asyncio.wait(waits, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        if scores.done():
            return await scores
        if gone.done():
            raise ClientGone
        raise Problem("deadline", "the deadline passed before all documents were scored")
    finally:
        scores.cancel()
        gone.cancel()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Whatever a scorer raises is a problem that the client hears of."""
    try:
        yield
    except ScorerError as error:
        raise problem_of(error) from error
    except (Problem, ClientGone):
        raise
    except Exception as error:
        _log.exception("a model failed")
        raise Problem("scorer_failed", f"the model failed: {type(error).__name__}") from error
