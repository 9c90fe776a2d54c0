"""Raw scores on disk, so that variants share them and an interrupted evaluation scores nothing twice.

Scores that were looked up say nothing about latency: `rebridge.evaluation.timing` never uses them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from rebridge.errors import ScorerError
from rebridge.scorers import Scorer
from rebridge.scorers.score_keys import score_keys

if TYPE_CHECKING:
    from rebridge.evaluation.database import Database
    from rebridge.steps import Windows

Scores = tuple[float, ...]
#: SQLite takes so many values in a statement, in every version.
_MOST_VALUES = 500


class StoredScorer(Scorer):
    """A scorer that asks another only for what is not stored yet.

    Args:
        scorer: the model; opened when it is needed first.
        database: where scores are kept. The thread that opened it is the only one that may use this scorer.
        fingerprint: what the scores depend on besides texts and windows; see `rebridge.scorers.fingerprint`.
        name: as of any scorer.

    Attributes:
        broken: why the model could not be opened; None if it could, or was not needed yet.
    """

    def __init__(self, scorer: Callable[[], Scorer], database: Database, fingerprint: str, name: str) -> None:
        self.name = name
        self._open = scorer
        self._database = database
        self._fingerprint = fingerprint
        self.broken: Exception | None = None

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[Scores]]:
        """As any scorer, but what has to be computed is waited for. Scores that are not finite are not kept."""
        future: Future[list[Scores]] = Future()
        keys = score_keys(self._fingerprint, query, passages, windows)
        known = self._stored(list(dict.fromkeys(keys)))
        asked = {key: text for key, text in zip(keys, passages, strict=True) if key not in known}
        if asked:
            try:
                fresh = self._fresh(query, list(asked.values()), windows, deadline)
            except Exception as error:  # noqa: BLE001 - whoever waits for the scores decides what becomes of it
                future.set_exception(error)
                return future
            known |= dict(zip(asked, fresh, strict=True))
            self._keep({key: known[key] for key in asked})
        future.set_result([known[key] for key in keys])
        return future

    def _stored(self, keys: list[bytes]) -> dict[bytes, Scores]:
        found: dict[bytes, Scores] = {}
        for start in range(0, len(keys), _MOST_VALUES):
            some = keys[start : start + _MOST_VALUES]
            marks = ",".join("?" * len(some))
            rows = self._database.rows(f"SELECT key, scores FROM scores WHERE key IN ({marks})", some)  # noqa: S608 - only marks
            found.update({key: struct.unpack(f"<{len(packed) // 8}d", packed) for key, packed in rows})
        return found

    def _fresh(
        self, query: str, passages: list[str], windows: Windows | None, deadline: float | None
    ) -> Sequence[Scores]:
        try:
            scorer = self._open()
        except Exception as error:
            self.broken = error
            raise
        future = scorer.submit(query, passages, windows=windows, deadline=deadline)
        try:
            scores = future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting
            raise
        if len(scores) != len(passages):
            raise ScorerError(f"{self.name} gave {len(scores)} scores for {len(passages)} passages")
        return scores

    def _keep(self, scores: dict[bytes, Scores]) -> None:
        self._database.write(
            "INSERT OR REPLACE INTO scores VALUES (?, ?)",
            [(key, struct.pack(f"<{len(row)}d", *row)) for key, row in scores.items() if all(map(math.isfinite, row))],
        )
