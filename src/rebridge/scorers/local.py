"""A scorer whose model runs in this process."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Generic

from rebridge.errors import ScorerError
from rebridge.scorers.base import Counts, Scorer, checked_passages
from rebridge.scorers.batching import Worker
from rebridge.scorers.family import Family, Output
from rebridge.scorers.jobs import Job
from rebridge.scorers.reading import Look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from rebridge.scorers.filling import Filling
    from rebridge.scorers.reading import Reading
    from rebridge.scorers.turns import Turns
    from rebridge.steps import Windows


class LocalScorer(Scorer, Generic[Output]):
    """Scores with a model in this process; safe to use from any number of threads.

    Args:
        name: the model's name, as shown to users.
        family: the model.
        token_budget: most tokens in a batch, padding included.
        turns: what models on the same device compute in turns by; None for a model that need not care about others.
    """

    def __init__(self, name: str, family: Family[Output], token_budget: int, turns: Turns | None = None) -> None:
        self.name = name
        self.activation = family.activation
        self.layers = family.layers
        self.reads_queries = family.queries is not None
        self.family = family
        self._worker: Worker[Output] = Worker(token_budget, turns)
        # What is still queued when nobody holds the scorer any more is computed, since somebody may hold its future.
        weakref.finalize(self, self._worker.retire).atexit = False

    def submit(
        self,
        query: str,
        passages: Sequence[str],
        *,
        windows: Windows | None = None,
        deadline: float | None = None,
    ) -> Future[list[tuple[float, ...]]]:
        """Queue passages; tokenising and scoring happen in the model's own thread."""
        if windows is not None and min(windows.size, windows.stride, windows.limit) < 1:
            raise ScorerError(f"size, stride and limit of windows must be at least 1: {windows}")
        job = Job(self.family, query, checked_passages(passages), windows, deadline)
        return self._queue(job, len(passages))

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """Have the query read now, if the model reads it apart from passages."""
        if self.reads_queries:
            self._worker.submit(Job(self.family, query, (), None, deadline))

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[list[tuple[float, ...]]]:
        """Queue passages for the scores of every layer."""
        job = Job(self.family, query, checked_passages(passages), windows=None, deadline=None, every_layer=True)
        return self._queue(job, len(passages))

    def reading(self, query: str, passage: str, *, windows: Windows | None = None) -> Reading | None:
        """How much of a passage the model reads."""
        look = Look(self.family, query, passage, windows)
        self._worker.submit(look)
        look.future.result()
        return look.found

    def fill(self, passages: Sequence[str], *, windows: Windows | None = None) -> Filling:
        """Queue passages whose embeddings are to be on disk; those that are there already are not computed.

        Args:
            passages: texts.
            windows: as for `submit`.

        Returns:
            The job, whose ``future`` tells when it is done. Embeddings are written in the background.

        Raises:
            ScorerError: if this scorer keeps nothing on disk.
        """
        from rebridge.scorers.filling import Filling

        job = Filling(self.family, checked_passages(passages), windows)
        self._queue(job, len(passages))
        return job

    def _queue(self, job: Job[Output], count: int) -> Future[list[tuple[float, ...]]]:
        if not count:
            job.future.set_result([])
        else:
            self._worker.submit(job)
        return job.future

    def memory_bytes(self) -> int:
        """Bytes of the model's weights."""
        return self.family.memory_bytes()

    def counts(self) -> Counts:
        """What went through the model so far."""
        store = self.family.store
        return replace(self._worker.counts, store_failures=0 if store is None else store.failures)

    def busy_since(self) -> float | None:
        """When the batch began that is being prepared or computed."""
        return self._worker.busy_since

    def close(self) -> None:
        """End the model's thread; jobs that are not done fail."""
        self._worker.close()
        if self.family.store is not None:
            self.family.store.close()
