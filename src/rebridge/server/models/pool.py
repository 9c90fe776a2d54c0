"""Models by name: loaded when first asked for or at start, unloaded when memory runs short."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from threading import Event, Lock, Thread

from rebridge.config import ScorerSection
from rebridge.scorers.base import Activation, Scorer
from rebridge.scorers.sections import open_section
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.shared_scorers import Answer, LazyScorer
from rebridge.steps import Windows

_MIB = 2**20

_log = logging.getLogger(__name__)

Opener = Callable[[ScorerSection], Scorer]


@dataclass(frozen=True, slots=True)
class ModelState:
    """How a model does.

    Attributes:
        name: its name.
        also: its other names.
        loaded: whether it is in memory.
        activation: what makes official scores of raw ones; None as long as it was never loaded.
        memory_mb: what its weights take, MiB; None as long as it was never loaded.
        in_use: requests that it works on, or that wait for it.
        busy_s: how long it has been at the same batch, seconds.
        counts: what it has done since it was loaded; see `rebridge.scorers.base.Counts`.
    """

    name: str
    also: tuple[str, ...]
    loaded: bool
    activation: Activation | None
    memory_mb: float | None
    in_use: int
    busy_s: float
    counts: Mapping[str, int] = field(default_factory=dict)


class ModelPool:
    """The models of a table.

    Each is loaded once, in a thread of its own, however many ask for it. Where the weights of all take more than the
    budget, those are unloaded that nobody has used for longest, but none that somebody is using: the budget is exceeded
    rather than a request failed. A model's size is known once it was loaded, so that its first load may exceed the
    budget for a moment. Embedding caches are not counted: they have a bound of their own (``cache_size``).

    Args:
        table: the models and their names.
        budget_mb: most memory for weights, MiB; None for no limit.
        opener: opens the scorer of a section.
    """

    def __init__(self, table: ModelTable, budget_mb: float | None = None, opener: Opener = open_section) -> None:
        self.table = table
        self.ready = Event()
        self._budget = None if budget_mb is None else budget_mb * _MIB
        self._opener = opener
        self._lock = Lock()
        self._models: dict[str, PooledScorer] = {}
        self.update(table)

    def scorer(self, name: str | None) -> PooledScorer:
        """The scorer of a model; None for the default one. It loads its model when it is first used.

        Raises:
            UnknownModel: if there is no such model.
        """
        return self._models[self.table.find(name).name]

    def preload(self) -> None:
        """Load the models that are to be loaded at start, one after the other; what fails is logged."""
        for model in self.table.models:
            if model.preload:
                try:
                    self._models[model.name].load()
                except Exception as error:  # noqa: BLE001 - the others can serve; a request for it says why it cannot
                    _log.warning("%s cannot be loaded at start: %s", model.name, error)
        self.ready.set()

    def update(self, table: ModelTable) -> None:
        """Serve another table. Models that stay as they are stay loaded; those that are gone answer what they have."""
        with self._lock:
            kept = {
                model.name: self._models[model.name]
                for model in table.models
                if model.name in self._models and self._models[model.name].model.section == model.section
            }
            gone = [scorer for name, scorer in self._models.items() if name not in kept]
            new = {model.name: PooledScorer(model, self) for model in table.models}
            self.table, self._models = table, new | kept
        for scorer in gone:
            scorer.unload_when_idle()

    def states(self) -> list[ModelState]:
        """How each model does, in the table's order."""
        return [self._models[model.name].state(model) for model in self.table.models]

    def close(self) -> None:
        """Unload everything."""
        for scorer in self._models.values():
            scorer.close()

    def open(self, section: ScorerSection) -> Scorer:
        """Open a scorer."""
        return self._opener(section)

    def make_room(self, coming: PooledScorer | None = None) -> None:
        """Unload what nobody uses until the budget is kept.

        Args:
            coming: a model that is about to be loaded, whose weights count already.
        """
        if self._budget is None:
            return
        with self._lock:
            held = [scorer for scorer in self._models.values() if scorer.loaded]
            total = sum(scorer.memory for scorer in {*held, *([coming] if coming else [])})
            idle = sorted((scorer for scorer in held if scorer is not coming), key=lambda scorer: scorer.used_at)
        for scorer in idle:
            if total > self._budget and scorer.unload():
                _log.info("%s is unloaded: the models take more than the memory budget", scorer.name)
                total -= scorer.memory


class PooledScorer(Scorer):
    """A model of a pool. Whoever has submitted something uses it until the future is done.

    Args:
        model: which one.
        pool: where it belongs.

    Attributes:
        model: as given.
        loaded: whether it is in memory.
        memory: bytes of its weights, 0 as long as it was never loaded.
        used_at: `time.monotonic` value of its last use.
    """

    def __init__(self, model: ServedModel, pool: ModelPool) -> None:
        self.name = model.name
        self.model = model
        self.loaded = False
        self.memory = 0
        self.used_at = 0.0
        self._pool = pool
        self._known = False
        self._gone = False
        self._users = 0
        self._lock = Lock()
        self._opened: Scorer | None = None
        self._lazy = LazyScorer(model.name, self._open)

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[Answer]:
        """See `Scorer.submit`."""
        return self._use(lambda scorer: scorer.submit(query, passages, windows=windows, deadline=deadline))

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """See `Scorer.announce`; a model that is not loaded stays so."""
        with self._lock:
            if self.loaded:
                self._lazy.announce(query, deadline=deadline)

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[Answer]:
        """See `Scorer.submit_layers`."""
        return self._use(lambda scorer: scorer.submit_layers(query, passages))

    def load(self) -> None:
        """Load the model now, if it is not loaded.

        Raises:
            Exception: whatever loading raised.
        """
        self._lazy.load()

    def unload(self) -> bool:
        """Free the model's memory unless somebody uses it; whether that was done. A later use loads it again."""
        with self._lock:
            if self._users or not self.loaded:
                return False
            self._drop()
        return True

    def unload_when_idle(self) -> None:
        """Unload as soon as nobody uses it: it is no longer served."""
        self._gone = True
        self.unload()

    def close(self) -> None:
        """Free the model's memory; what waits for it fails."""
        with self._lock:
            self._drop()

    def state(self, model: ServedModel) -> ModelState:
        """How it does; ``model`` has the names under which it is served now."""
        opened = self._opened
        since = opened.busy_since() if opened is not None else None
        return ModelState(
            name=self.name,
            also=model.also,
            loaded=self.loaded,
            activation=self.activation if self._known else None,
            memory_mb=round(self.memory / _MIB, 1) if self._known else None,
            in_use=self._users,
            busy_s=0.0 if since is None else max(0.0, time.monotonic() - since),
            counts={} if opened is None else asdict(opened.counts()),
        )

    def _use(self, submit: Callable[[Scorer], Future[Answer]]) -> Future[Answer]:
        with self._lock:
            self._users += 1
            self.used_at = time.monotonic()
            lazy = self._lazy
        try:
            future = submit(lazy)
        except BaseException:
            self._release()
            raise
        future.add_done_callback(lambda _: self._release())
        return future

    def _release(self) -> None:
        with self._lock:
            self._users -= 1
            self.used_at = time.monotonic()
        if self._gone:
            self.unload()
        self._pool.make_room()

    def _open(self) -> Scorer:
        self._pool.make_room(coming=self)
        scorer = self._pool.open(self.model.section)
        self.activation, self.layers, self.reads_queries = scorer.activation, scorer.layers, scorer.reads_queries
        self.memory = scorer.memory_bytes()
        self._known = self.loaded = True
        self._opened = scorer
        self._pool.make_room(coming=self)
        if self._gone:
            self.unload()
        return scorer

    def _drop(self) -> None:
        """Let the model go; what is submitted from now on loads it again."""
        lazy, self._lazy = self._lazy, LazyScorer(self.name, self._open)
        self.loaded = False
        self._opened = None
        # In a thread of its own: it waits for the batch that is being computed, and may be called from the model's own.
        Thread(target=_free, args=(lazy,), name=f"unload {self.name}", daemon=True).start()


def _free(lazy: LazyScorer) -> None:
    lazy.close()
    gc.collect()  # modules of torch hold each other in cycles
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
