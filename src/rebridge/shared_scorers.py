"""Models that several pipelines share: each is loaded once, in the background, when it is first needed or before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock, Thread

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import open_section
from rebridge.scorers.base import Counts, Scorer
from rebridge.scorers.sections import open_uncached
from rebridge.scorers.waiting import after
from rebridge.steps import Windows

#: Seconds until a model that could not be loaded is tried again.
RETRY_AFTER = 30.0

Answer = list[tuple[float, ...]]
Opener = Callable[[ScorerSection], Scorer]

_log = logging.getLogger("rebridge")


class SharedScorers:
    """The models of several pipelines.

    Args:
        given: scores for all pipelines instead, and is not closed here.
        opener: opens the scorer of a section; None for `rebridge.scorers.open_section`, with which sections that differ
            only in how they keep scores share a model.
    """

    def __init__(self, given: Scorer | None = None, opener: Opener | None = None) -> None:
        self._given = given
        self._opener = opener
        self._models: list[tuple[ScorerSection, LazyScorer]] = []

    def get(self, section: ScorerSection) -> Scorer:
        """The scorer of a pipeline; equal sections have the same one. It loads its model when it is first used."""
        if self._given is not None:
            return self._given
        return self._lazy(section)

    def chain(self, section: ScorerSection, fallbacks: Sequence[ScorerSection]) -> tuple[Scorer, ...]:
        """A pipeline's scorer and its fallbacks; a scorer that is given for all pipelines has none."""
        return (self.get(section), *(self.get(fallback) for fallback in fallbacks if self._given is None))

    def load(self) -> None:
        """Load every model now.

        Raises:
            ScorerError: if one cannot be loaded.
        """
        for _, model in self._models:
            model.load()

    def close(self) -> None:
        """Free what was loaded. A later use loads it again."""
        for _, model in self._models:
            model.close()

    def _lazy(self, section: ScorerSection) -> LazyScorer:
        for known, model in self._models:
            if known == section:
                return model
        model = LazyScorer(section.name, self._opening(section))
        self._models.append((section, model))
        return model

    def _opening(self, section: ScorerSection) -> Callable[[], Scorer]:
        """What opens the scorer of a section."""
        if self._opener is not None:
            return partial(self._opener, section)
        if section.score_cache is None:
            return partial(self._open_uncached, section)
        return partial(open_section, section, self._lazy(section.uncached()).load)

    def _open_uncached(self, section: ScorerSection) -> Scorer:
        shared = any(other.shares_scores and other.uncached() == section for other, _ in self._models)
        return open_uncached(section, fingerprinted=shared)


class LazyScorer(Scorer):
    """A scorer that opens another one when it is first asked.

    The first searches wait for it no longer than their deadlines allow. If it cannot be opened, searches fail at once
    for `RETRY_AFTER` seconds; then it is tried again.

    Args:
        name: the model's name.
        opener: opens the scorer.
    """

    def __init__(self, name: str, opener: Callable[[], Scorer]) -> None:
        self.name = name
        self._opener = opener
        self._opening: Future[Scorer] | None = None
        self._retry_at = 0.0
        self._lock = Lock()

    def load(self) -> Scorer:
        """Open the scorer now, if it is not open yet.

        Raises:
            Exception: whatever opening raised.
        """
        return self._opened().result()

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[Answer]:
        """See `Scorer.submit`; what fails to open fails here as a `ScorerError` of the future."""
        return self.ask(lambda scorer: scorer.submit(query, passages, windows=windows, deadline=deadline))

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """See `Scorer.announce`; the scorer begins to open."""
        opening = self._opened()
        if _is_open(opening):
            opening.result().announce(query, deadline=deadline)

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[Answer]:
        """See `Scorer.submit_layers`."""
        return self.ask(lambda scorer: scorer.submit_layers(query, passages))

    def ask(self, submit: Callable[[Scorer], Future[Answer]]) -> Future[Answer]:
        """The future of what is asked of the scorer once it is open; it fails as that of `submit`."""
        opening = self._opened()
        if _is_open(opening):
            return submit(opening.result())

        def ask() -> Future[Answer]:
            try:
                return submit(opening.result())
            except ScorerError:
                raise
            except Exception as error:
                raise ScorerError(f"{self.name} cannot be opened: {error}") from error

        return after(opening, ask)

    def counts(self) -> Counts:
        """What the scorer has done since it was opened."""
        opening = self._opening
        return opening.result().counts() if opening is not None and _is_open(opening) else Counts()

    def close(self) -> None:
        """Close the scorer, or let it close as soon as it is open; a later use opens it again."""
        with self._lock:
            opening, self._opening = self._opening, None
        if opening is not None:
            opening.add_done_callback(lambda done: None if done.exception() else done.result().close())

    def _opened(self) -> Future[Scorer]:
        with self._lock:
            opening = self._opening
            failed = opening is not None and opening.done() and opening.exception() is not None
            if opening is None or (failed and time.monotonic() >= self._retry_at):
                opening = self._opening = Future()
                # A thread of its own: loading takes seconds, and must not take up those of an event loop.
                try:
                    Thread(target=self._open, args=(opening,), name=f"open {self.name}", daemon=True).start()
                except RuntimeError as error:  # there are too many threads already
                    self._failed(opening, error)
            return opening

    def _open(self, opening: Future[Scorer]) -> None:
        try:
            scorer = self._opener()
        except Exception as error:  # noqa: BLE001 - every search that waits must hear of it
            self._failed(opening, error)
        else:
            opening.set_result(scorer)

    def _failed(self, opening: Future[Scorer], error: Exception) -> None:
        _log.warning("%s cannot be opened (tried again after %.0f s): %s", self.name, RETRY_AFTER, error)
        self._retry_at = time.monotonic() + RETRY_AFTER
        opening.set_exception(error)


def _is_open(opening: Future[Scorer]) -> bool:
    return opening.done() and opening.exception() is None
