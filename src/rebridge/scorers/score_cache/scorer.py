"""A scorer that asks another one only for scores that are not kept."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rebridge.errors import NoScores, ScorerError
from rebridge.scorers.base import Counts, Scorer, checked_passages
from rebridge.scorers.score_keys import score_keys
from rebridge.scorers.waiting import after, read

if TYPE_CHECKING:
    from rebridge.scorers.reading import Reading
    from rebridge.scorers.score_cache.memory import MemoryScores, Scores
    from rebridge.scorers.score_cache.shared import RedisScores
    from rebridge.steps import Windows

Answer = list[tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class _Question:
    """One call.

    Attributes:
        keys: of the passages, in their order.
        missing: key -> passage, of those whose scores this process has not kept; each once.
        known: key -> scores, of the others.
        layers: whether it is the scores after each layer.
        ask: has the model score passages.
    """

    keys: list[bytes]
    missing: Mapping[bytes, str]
    known: Mapping[bytes, Scores]
    layers: bool
    ask: Callable[[list[str]], Future[Answer]]


class CachedScorer(Scorer):
    """Keeps the scores of another scorer; safe to use from any number of threads.

    What fails, and a score that is no finite number, is not kept.

    Args:
        scorer: the other one.
        fingerprint: what its scores depend on besides texts; see `rebridge.scorers.fingerprint`.
        memory: where scores are kept.
        shared: where they are kept for other processes too; looked into for what ``memory`` does not have.
        told: whether ``activation`` and ``layers`` of ``scorer`` are right before its first answer. If not, that is
            waited for until ``shared`` is believed.
        looked: called for every question: of how many passages the scores were kept, and of how many they were not.
        owned: whether ``scorer`` is closed with this one.
    """

    def __init__(  # noqa: PLR0913 - three of them are keyword options
        self,
        scorer: Scorer,
        fingerprint: str,
        memory: MemoryScores,
        shared: RedisScores | None = None,
        *,
        told: bool = True,
        looked: Callable[[int, int], object] | None = None,
        owned: bool = True,
    ) -> None:
        self.name = scorer.name
        self.activation, self.layers = scorer.activation, scorer.layers
        self._scorer = scorer
        self._fingerprint = fingerprint
        self._memory = memory
        self._shared = shared
        self._told = {False: told, True: told}
        self._looked = looked
        self._owned = owned
        self._hits = self._misses = 0
        self._counting = threading.Lock()

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[Answer]:
        """See `Scorer.submit`; the model is asked once, for all passages whose scores are not kept."""
        keys = score_keys(self._fingerprint, query, checked_passages(passages), windows)
        return self._answered(
            keys, passages, lambda texts: self._scorer.submit(query, texts, windows=windows, deadline=deadline)
        )

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[Answer]:
        """See `Scorer.submit_layers`."""
        keys = score_keys(self._fingerprint, query, checked_passages(passages), None, layers=True)
        return self._answered(keys, passages, lambda texts: self._scorer.submit_layers(query, texts), layers=True)

    def reading(self, query: str, passage: str, *, windows: Windows | None = None) -> Reading | None:
        """See `Scorer.reading`."""
        return self._scorer.reading(query, passage, windows=windows)

    def memory_bytes(self) -> int:
        """Bytes of the model's weights."""
        return self._scorer.memory_bytes()

    def counts(self) -> Counts:
        """What the model has done so far, and what it did not have to do."""
        return replace(self._scorer.counts(), score_hits=self._hits, score_misses=self._misses)

    def busy_since(self) -> float | None:
        """See `Scorer.busy_since`."""
        return self._scorer.busy_since()

    def close(self) -> None:
        """Close what scores are kept in, and the scorer if it is owned."""
        try:
            if self._owned:
                self._scorer.close()
        finally:
            if self._shared is not None:
                self._shared.close()

    def _answered(
        self,
        keys: list[bytes],
        passages: Sequence[str],
        ask: Callable[[list[str]], Future[Answer]],
        *,
        layers: bool = False,
    ) -> Future[Answer]:
        known = self._memory.known(dict.fromkeys(keys))
        missing = {key: text for key, text in zip(keys, passages, strict=True) if key not in known}
        question = _Question(keys, missing, known, layers, ask)
        shared = self._shared
        if shared is None or not missing or not self._told[layers]:
            return self._asked(question)
        try:
            found = shared.known(list(missing))
        except ScorerError:  # scores that are not at hand are computed
            return self._asked(question)
        return after(found, lambda: self._asked(_with(question, found.result())))

    def _asked(self, question: _Question) -> Future[Answer]:
        """Have the model score what is missing."""
        missing = question.missing
        hits = len(question.keys) - len(missing)
        with self._counting:
            self._misses += len(missing)
            self._hits += hits
        if self._looked is not None:
            self._looked(hits, len(missing))
        if not missing:
            done: Future[Answer] = Future()
            done.set_result([question.known[key] for key in question.keys])
            return done
        return read(question.ask(list(missing.values())), lambda future: self._read(question, future))

    def _read(self, question: _Question, future: Future[Answer]) -> Answer:
        """Keep what the model gave, and put it together with what was known."""
        try:
            rows = future.result()
        except NoScores:
            # With all passages the model would have given those that are known; the others must not cost them.
            if not question.known:
                raise
            rows = [(math.nan,) * (self.layers if question.layers else 1)] * len(question.missing)
        if len(rows) != len(question.missing):
            raise ScorerError(f"{self.name} gave {len(rows)} scores for {len(question.missing)} passages")
        self.activation, self.layers = self._scorer.activation, self._scorer.layers
        self._told[question.layers] = True
        fresh = dict(zip(question.missing, rows, strict=True))
        kept = {key: row for key, row in fresh.items() if row and all(map(math.isfinite, row))}
        self._memory.keep(kept)
        if self._shared is not None and kept:
            self._shared.keep(kept)
        return [fresh[key] if key in fresh else question.known[key] for key in question.keys]


def _with(question: _Question, found: Mapping[bytes, Scores]) -> _Question:
    """The same question, some more of whose answers are known."""
    missing = {key: text for key, text in question.missing.items() if key not in found}
    return replace(question, missing=missing, known={**question.known, **found})
