"""A job that scores nothing: it puts what is missing on disk into the store there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.errors import ScorerError
from rebridge.scorers.batch import Input
from rebridge.scorers.cache import text_key
from rebridge.scorers.embeddings.store import DiskStore
from rebridge.scorers.jobs import Job

if TYPE_CHECKING:
    from rebridge.scorers.family import Family
    from rebridge.steps import Windows


class Filling(Job[Any]):
    """Passages whose embeddings are to be on disk.

    Args:
        family: the model.
        passages: texts.
        windows: how they are cut; None for not at all.

    Attributes:
        kept: windows whose embeddings were there already, those of equal texts included.
        embedded: windows whose embeddings were computed, and kept.
        unkept: windows whose embeddings were computed, and cannot be kept: see `DiskStore.keep`.

    Raises:
        ScorerError: if the model keeps nothing on disk.
    """

    def __init__(self, family: Family[Any], passages: tuple[str, ...], windows: Windows | None) -> None:
        super().__init__(family, "", passages, windows, None)
        if not isinstance(family.store, DiskStore):
            raise ScorerError("this model keeps no embeddings on disk")
        self._store = family.store
        self.embedded, self.unkept = 0, 0

    def _read_query(self) -> None:
        """There is none."""

    def _encode(self, first: int, texts: list[str]) -> list[Input]:
        keys = [text_key(text) for text in texts]
        missing = self._store.missing(keys)
        wanted: list[tuple[int, str, bytes]] = []
        for row, (text, key) in enumerate(zip(texts, keys, strict=True), start=first):
            if key in missing:
                missing.remove(key)
                wanted.append((row, text, key))
            else:
                self.kept += 1
                self._done(row)
        encoded = self.family.encode("", [text for _, text, _ in wanted])
        pairs = zip(wanted, encoded, strict=True)
        return [part for (row, _, key), tokens in pairs for part in self._split(tokens, row, key)]

    def _score(self, row: int, output: Any, key: bytes | None = None) -> None:
        if key is not None:
            self._store.wait_for_room()
            if self._store.keep(key, output):
                self.embedded += 1
            else:
                self.unkept += 1
        self._done(row)

    def _done(self, row: int) -> None:
        self._scores[row] = (0.0,)
        self._open -= 1
