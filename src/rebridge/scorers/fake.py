"""A scorer without a model, for tests: ours and our users'."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from rebridge.scorers.base import Activation, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rebridge.steps import Windows


class FakeScorer(Scorer):
    """Gives the scores that a test asks for.

    Args:
        scores: passage -> raw score, or a function of (query, passage).
        default: the score of a passage that ``scores`` does not hold.
        error: raise this instead of scoring.
        hangs: never answer, like a model that is stuck.
        activation: as of any scorer.

    Example:
        >>> FakeScorer({"red shoes": 0.9}).score("shoes", ["red shoes", "blue hat"])
        [0.9, 0.0]
    """

    name = "fake"

    def __init__(
        self,
        scores: Mapping[str, float] | Callable[[str, str], float] | None = None,
        *,
        default: float = 0.0,
        error: Exception | None = None,
        hangs: bool = False,
        activation: Activation = "identity",
    ) -> None:
        self.activation = activation
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self._scores = scores if scores is not None else {}
        self._default = default
        self._error = error
        self._hangs = hangs
        self._lock = threading.Lock()

    def submit(
        self,
        query: str,
        passages: Sequence[str],
        *,
        windows: Windows | None = None,
        deadline: float | None = None,  # noqa: ARG002 - answers at once, or never
    ) -> Future[list[tuple[float, ...]]]:
        """Answer at once; windows are cut by words instead of tokens."""
        with self._lock:
            self.calls.append((query, tuple(passages)))
        future: Future[list[tuple[float, ...]]] = Future()
        if self._error is not None:
            future.set_exception(self._error)
        elif not self._hangs:
            future.set_result([tuple(self._one(query, piece) for piece in _cut(text, windows)) for text in passages])
        return future

    def _one(self, query: str, passage: str) -> float:
        if callable(self._scores):
            return self._scores(query, passage)
        return self._scores.get(passage, self._default)


def _cut(text: str, windows: Windows | None) -> list[str]:
    if windows is None:
        return [text]
    words = text.split()
    starts = range(0, max(1, len(words) - windows.size + windows.stride), windows.stride)
    return [" ".join(words[start : start + windows.size]) for start in starts][: windows.limit]
