"""Where the rerank API gets its models from: a pool in this process, or the process that holds the models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Protocol

from rebridge.config import ScorerSection
from rebridge.scorers.base import Scorer
from rebridge.scorers.remote import RemoteScorer
from rebridge.scorers.sections import open_section
from rebridge.server.models.asking import ModelsClient
from rebridge.server.models.pool import ModelPool, ModelState
from rebridge.server.models.table import ModelTable, ServedModel

#: How long a question about the models' state may take, seconds.
_ASK_S = 2.0
#: Most requests to the process of the models at a time, of each model.
_CONNECTIONS = 64
#: Deadlines of requests end them; this is for those without one, seconds.
_LONGEST_S = 3600.0
#: The process comes back within seconds, and everything waits for it.
_RECHECK_S = 0.5


class ScoringService(Protocol):
    """The models of a server."""

    def models(self) -> Sequence[ModelState]:
        """The models and how they do; may wait for an answer for a moment."""

    def scorer(self, name: str | None) -> Scorer:
        """The scorer of a model, which stays open; None for the default model.

        Its ``activation`` is right once its model has given a score.

        Raises:
            UnknownModel: if there is no such model.
        """

    def ready(self) -> bool:
        """Whether the models that are to be loaded at start are; may wait for an answer for a moment."""


class PoolScoring:
    """The models of a pool in this process.

    Args:
        pool: the models; whoever made it closes it.
    """

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def models(self) -> Sequence[ModelState]:
        """See `ScoringService`."""
        return self._pool.states()

    def scorer(self, name: str | None) -> Scorer:
        """See `ScoringService`."""
        return self._pool.scorer(name)

    def ready(self) -> bool:
        """See `ScoringService`."""
        return self._pool.ready.is_set()


class ProcessScoring:
    """The models of the process that a `Supervisor` keeps alive; those of remote sections are asked directly.

    Args:
        table: the models and their names, as the process has them.
        socket: where it listens.
        looked: called for every look into the score cache of a remote section: its name, hits, misses.
    """

    def __init__(
        self, table: ModelTable, socket: Path, looked: Callable[[str, int, int], object] = lambda *_: None
    ) -> None:
        self._socket = str(socket)
        self._table = table
        self._looked = looked
        self._scorers: dict[str, tuple[ScorerSection, Scorer]] = {}
        self._lock = Lock()
        self._client = ModelsClient(socket, _ASK_S)

    def models(self) -> Sequence[ModelState]:
        """See `ScoringService`. While the process is away, nothing is loaded."""
        told = (self._client.get("/models") or {}).get("models", [])
        known = {state["name"]: ModelState(**state | {"also": tuple(state["also"])}) for state in told}
        return [known.get(model.name, _unknown_state(model)) for model in self._table.models]

    def scorer(self, name: str | None) -> Scorer:
        """See `ScoringService`."""
        return self._of(self._table.find(name))

    def opener(self, section: ScorerSection) -> Scorer:
        """The scorer of a pipeline's section: for `SharedScorers`, which closes what it opened."""
        return self._open(section, self._table.name_of(section))

    def loaded(self, sections: Iterable[ScorerSection]) -> list[bool | None]:
        """Whether the models of pipelines' sections are in memory; None for those that lie elsewhere."""
        states = {state.name: state.loaded for state in self.models()}
        return [
            None if section.kind == "remote" else states.get(self._table.name_of(section), False)
            for section in sections
        ]

    def ready(self) -> bool:
        """See `ScoringService`."""
        return bool((self._client.get("/healthz") or {}).get("ready", False))

    def update(self, table: ModelTable) -> None:
        """Use another table, after the process has got it."""
        with self._lock:
            self._table = table

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            scorers, self._scorers = self._scorers, {}
        for _, scorer in scorers.values():
            scorer.close()
        self._client.close()

    def _of(self, model: ServedModel) -> Scorer:
        with self._lock:
            section, scorer = self._scorers.get(model.name, (None, None))
            if scorer is None or section != model.section:
                scorer = self._open(model.section, model.name)
                self._scorers[model.name] = (model.section, scorer)
            return scorer

    def _open(self, section: ScorerSection, name: str) -> Scorer:
        """A remote section's own scorer; for a local one, a client of the process."""
        if section.kind == "remote":
            return open_section(section, looked=partial(self._looked, name))
        return RemoteScorer(
            "http://models",
            model=name,
            uds=self._socket,
            connections=_CONNECTIONS,
            timeout_s=_LONGEST_S,
            recheck_s=_RECHECK_S,
        )


def _unknown_state(model: ServedModel) -> ModelState:
    return ModelState(model.name, model.also, loaded=False, activation=None, memory_mb=None, in_use=0, busy_s=0.0)
