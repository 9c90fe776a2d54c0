"""Models that several pipelines share: each is loaded once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import open_scorer
from rebridge.scorers.base import Scorer
from rebridge.steps import Windows

#: Seconds until a model that could not be loaded is tried again.
RETRY_AFTER = 30.0

_log = logging.getLogger("rebridge")


class SharedScorers:
    """The models of several pipelines.

    Args:
        given: scores for all pipelines instead, and is not closed here.
    """

    def __init__(self, given: Scorer | None = None) -> None:
        self._given = given
        self._open: dict[str, Scorer] = {}
        self._failed: dict[str, _Unavailable] = {}
        self._lock = Lock()

    def open(self, section: ScorerSection) -> Scorer:
        """The scorer of a pipeline, loaded if it is not yet.

        Raises:
            ScorerError: if it cannot be loaded.
        """
        if self._given is not None:
            return self._given
        key = _key(section)
        with self._lock:
            if key not in self._open:
                self._open[key] = open_scorer(section.model, **section.options())
            return self._open[key]

    def ready(self, section: ScorerSection) -> Scorer | None:
        """The scorer if it is loaded, without waiting."""
        return self._given or self._open.get(_key(section))

    def get(self, section: ScorerSection) -> Scorer:
        """As `open`, but never fails: where the model cannot be loaded, the answer is a scorer that says so."""
        if (scorer := self.ready(section)) is not None:
            return scorer
        key = _key(section)
        failed = self._failed.get(key)
        if failed is not None and time.monotonic() < failed.until:
            return failed
        try:
            return self.open(section)
        except ScorerError as error:
            _log.exception("%s cannot be loaded; tried again after %.0f s", section.model, RETRY_AFTER)
            self._failed[key] = _Unavailable(section.model, error, time.monotonic() + RETRY_AFTER)
            return self._failed[key]

    def close(self) -> None:
        """Free what was loaded. A later use loads it again."""
        with self._lock:
            scorers, self._open = list(self._open.values()), {}
        for scorer in scorers:
            scorer.close()


def _key(section: ScorerSection) -> str:
    """Equal for sections that mean the same scorer."""
    return repr(sorted(section.options().items())) + section.model


class _Unavailable(Scorer):
    """A model that could not be loaded."""

    def __init__(self, name: str, error: ScorerError, until: float) -> None:
        self.name, self.error, self.until = name, error, until

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[tuple[float, ...]]]:
        """Fail as loading did."""
        del query, passages, windows, deadline
        raise ScorerError(str(self.error)) from self.error

    def close(self) -> None:
        """Nothing to free."""
