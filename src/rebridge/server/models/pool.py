"""Models by name: loaded when first asked for or at start, unloaded when memory runs short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from threading import Event, Lock

from rebridge.config import ScorerSection
from rebridge.scorers.base import Activation, Scorer
from rebridge.scorers.sections import open_section, open_uncached
from rebridge.server.models.shared import PooledScorer, SharedModel
from rebridge.server.models.table import ModelTable

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
        memory_mb: what its weights take, MiB; None as long as it was never loaded. Of names that share a model the
            one has this, the same as long as it is served, and the others have 0, so that the sum is right.
        in_use: requests under this name that it works on, or that wait for it; and its load at start.
        busy_s: how long it has been at the same batch, seconds.
        counts: what it has done since it was loaded; see `rebridge.scorers.base.Counts`. Of names that share a model
            that one has these, and each the looks into its own score cache.
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

    Each is loaded once, in a thread of its own, however many ask for it, also under several names: those whose sections
    differ only in how they keep scores share it. Where the weights of all take more than the budget, those are unloaded
    that nobody has used for longest, but none that somebody is using: the budget is exceeded rather than a request
    failed. A model's size is known once it was loaded, so that its first load may exceed the budget for a moment.
    Embedding caches are not counted: they have a bound of their own (``cache_size``).

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
        self._scorers: dict[str, PooledScorer] = {}
        self._models: list[SharedModel] = []
        self.update(table)

    def scorer(self, name: str | None) -> PooledScorer:
        """The scorer of a model; None for the default one. It loads its model when it is first used.

        Raises:
            UnknownModel: if there is no such model.
        """
        return self._scorers[self.table.find(name).name]

    def preload(self) -> None:
        """Load the models that are to be loaded at start, one after the other; what fails is logged."""
        for model in self.table.models:
            if model.preload:
                try:
                    self._scorers[model.name].load()
                except Exception as error:  # noqa: BLE001 - the others can serve; a request for it says why it cannot
                    _log.warning("%s cannot be loaded at start: %s", model.name, error)
        self.ready.set()

    def update(self, table: ModelTable) -> None:
        """Serve another table. Models that stay as they are stay loaded; those that are gone answer what they have."""
        sharing = [model.section.uncached() for model in table.models if model.section.shares_scores]
        with self._lock:
            before, models, scorers = self._models, list(self._models), {}
            for served in table.models:
                model = _fitting(models, served.section, sharing) or self._new(served.name, served.section, sharing)
                models = models if model in models else [*models, model]
                scorer = self._scorers.get(served.name)
                if scorer is None or scorer.shared is not model or scorer.model.section != served.section:
                    scorer = PooledScorer(served, model)
                scorers[served.name] = scorer
            gone = [scorer for name, scorer in self._scorers.items() if scorers.get(name) is not scorer]
            names = {model: [name for name, scorer in scorers.items() if scorer.shared is model] for model in models}
            for model, its in names.items():
                if its and model.name not in its:
                    model.rename(its[0])
            self.table, self._scorers = table, scorers
            self._models = [model for model in models if names[model]]
        for scorer in gone:
            scorer.shared.forget(scorer)
        for model in before:
            if not names[model]:
                model.unload_when_idle()

    def states(self) -> list[ModelState]:
        """How each model does, in the table's order."""
        return [_state(self._scorers[model.name], model.also) for model in self.table.models]

    def close(self) -> None:
        """Unload everything."""
        for model in self._models:
            model.close()

    def _make_room(self, coming: SharedModel | None) -> None:
        """Unload what nobody uses until the budget is kept; weights of a model that is about to come count already."""
        if self._budget is None:
            return
        with self._lock:
            held = [model for model in self._models if model.loaded]
            total = sum(model.memory for model in {*held, *([coming] if coming else [])})
            idle = sorted((model for model in held if model is not coming), key=lambda model: model.used_at)
        for model in idle:
            if total > self._budget and model.unload():
                _log.info("%s is unloaded: the models take more than the memory budget", model.name)
                total -= model.memory

    def _new(self, name: str, section: ScorerSection, sharing: Collection[ScorerSection]) -> SharedModel:
        uncached = section.uncached()
        fingerprinted = uncached in sharing
        opener = partial(open_uncached, uncached, fingerprinted=fingerprinted, opener=self._opener)
        return SharedModel(name, uncached, fingerprinted=fingerprinted, opener=opener, make_room=self._make_room)


def _fitting(
    models: Collection[SharedModel], section: ScorerSection, sharing: Collection[ScorerSection]
) -> SharedModel | None:
    """The model of a section, if there is one; rather one that is loaded.

    Args:
        models: those that there are.
        section: the section.
        sharing: models' sections some of whose names share scores with other processes. That needs a fingerprint of
            the weights, which cannot be had once they are loaded: such names need a model that was loaded with it, and
            the others one of those too, unless they have one in memory already.
    """
    uncached = section.uncached()
    fitting = [
        model
        for model in models
        if model.section == uncached
        and (model.fingerprinted or uncached not in sharing or (model.loaded and not section.shares_scores))
    ]
    return max(fitting, key=lambda model: (model.loaded, model.fingerprinted), default=None)


def _state(scorer: PooledScorer, also: tuple[str, ...]) -> ModelState:
    """How a name's model does."""
    shared = scorer.shared
    memory = shared.memory if scorer.name == shared.name else 0
    return ModelState(
        name=scorer.name,
        also=also,
        loaded=shared.loaded,
        activation=shared.activation,
        memory_mb=None if shared.activation is None else round(memory / _MIB, 1),
        in_use=scorer.in_use,
        busy_s=shared.busy_s(),
        counts=asdict(shared.counts(scorer)),
    )
