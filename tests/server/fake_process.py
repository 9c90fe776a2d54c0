"""The process of the models with fakes: what a section's ``model`` says is what happens. Run by tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.models.process import main
from rebridge.steps import Windows


class Fatal(FakeScorer):
    """Does something terrible when it is asked."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[tuple[float, ...]]]:
        """Do it."""
        self._act()
        return super().submit(query, passages, windows=windows, deadline=deadline)


class Stuck(FakeScorer):
    """Never leaves the batch that it is at."""

    def __init__(self) -> None:
        super().__init__(hangs=True)
        self._since: float | None = None

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[tuple[float, ...]]]:
        """Begin a batch."""
        self._since = time.monotonic()
        return super().submit(query, passages, windows=windows, deadline=deadline)

    def busy_since(self) -> float | None:
        """Since it was asked."""
        return self._since


def _missing() -> Scorer:
    raise ScorerError("no such model")


_MODELS: dict[str, Callable[[], Scorer]] = {
    "crash": lambda: Fatal(lambda: os.kill(os.getpid(), signal.SIGSEGV)),
    "freeze": lambda: Fatal(lambda: os.kill(os.getpid(), signal.SIGSTOP)),
    "stuck": Stuck,
    "missing": _missing,
}


def _open(section: ScorerSection) -> Scorer:
    make = _MODELS.get(section.model, lambda: FakeScorer(lambda _, text: float(len(text)), activation="sigmoid"))
    return make()


if __name__ == "__main__":
    main(_open)
