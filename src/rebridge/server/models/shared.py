"""A model, and the names that share it: those whose sections differ only in how they keep scores."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Lock, Thread

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers.base import Activation, Counts, Scorer
from rebridge.scorers.sections import open_section
from rebridge.server.models.table import ServedModel
from rebridge.shared_scorers import Answer, LazyScorer
from rebridge.steps import Windows


class SharedModel:
    """A model that is in memory when somebody needs it. Whoever has submitted something uses it until that is done.

    Args:
        name: one of its names.
        section: how it is opened, without a score cache.
        fingerprinted: whether its opened scorer knows its fingerprint, as is needed where processes share scores.
        opener: opens it.
        make_room: called when it is about to take memory (with the model) and when somebody has used it (with None).

    Attributes:
        name: one of its names, the same as long as that is served: messages call it so, and metrics tell there what it
            does.
        section, fingerprinted: as given.
        activation: what makes official scores of raw ones; None as long as it was never loaded.
        memory: bytes of its weights, 0 as long as it was never loaded.
        used_at: `time.monotonic` value of its last use.
    """

    def __init__(
        self,
        name: str,
        section: ScorerSection,
        *,
        fingerprinted: bool,
        opener: Callable[[], Scorer],
        make_room: Callable[[SharedModel | None], None],
    ) -> None:
        self.name = name
        self.section = section
        self.fingerprinted = fingerprinted
        self.activation: Activation | None = None
        self.memory = 0
        self.used_at = 0.0
        self._opener = opener
        self._make_room = make_room
        self._gone = False
        self._in_use = 0
        self._lock = Lock()
        self._opened: Scorer | None = None
        self._lazy = LazyScorer(name, self._open)
        # What keeps the scores of a name, around the model. Both come and go together.
        self._caches: dict[PooledScorer, LazyScorer] = {}

    def rename(self, name: str) -> None:
        """Go by another one of its names."""
        self.name = self._lazy.name = name

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._opened is not None

    def use(self, user: PooledScorer, ask: Callable[[Scorer], Future[Answer]]) -> Future[Answer]:
        """What is asked of a name's scorer. The model is loaded if it is not, and stays until the future is done."""
        with self._lock:
            self._in_use += 1
            user.in_use += 1
            self.used_at = time.monotonic()
            lazy = self._lazy
        try:
            future = lazy.ask(lambda opened: self._asked(user, lazy, opened, ask))
        except BaseException:
            self._leave(user)
            raise
        future.add_done_callback(lambda _: self._leave(user))
        return future

    def announce(self, query: str, deadline: float | None) -> None:
        """See `Scorer.announce`; a model that is not loaded stays so."""
        opened = self._opened
        if opened is not None:
            opened.announce(query, deadline=deadline)

    def counts(self, user: PooledScorer) -> Counts:
        """What a name's score cache has done since the model was loaded, and what the model has, if it has its name."""
        opened, cache = self._opened, self._caches.get(user)
        counts = opened.counts() if opened is not None and user.name == self.name else Counts()
        kept = cache.counts() if cache is not None else Counts()
        return replace(counts, score_hits=kept.score_hits, score_misses=kept.score_misses)

    def busy_s(self) -> float:
        """How long it has been at the same batch, seconds."""
        opened = self._opened
        since = opened.busy_since() if opened is not None else None
        return 0.0 if since is None else max(0.0, time.monotonic() - since)

    def forget(self, user: PooledScorer) -> None:
        """Close what a name has of its own as soon as nobody uses it: it is no longer served."""
        user.gone = True
        self._tidy(user)

    def unload(self) -> bool:
        """Free the model's memory unless somebody uses it; whether that was done. A later use loads it again."""
        with self._lock:
            if self._in_use or not self.loaded:
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

    def _asked(
        self, user: PooledScorer, lazy: LazyScorer, opened: Scorer, ask: Callable[[Scorer], Future[Answer]]
    ) -> Future[Answer]:
        """The answer of a name's scorer, which is the model's own or one that keeps its scores."""
        section = user.model.section
        if section.score_cache is None:
            return ask(opened)
        with self._lock:
            if lazy is not self._lazy or not user.in_use:  # nobody waits any more, and it may be loaded anew by now
                raise ScorerError(f"{self.name} was unloaded")
            if user not in self._caches:
                self._caches[user] = LazyScorer(user.name, partial(open_section, section, lambda: opened))
            cache = self._caches[user]
        return cache.ask(ask)

    def _leave(self, user: PooledScorer) -> None:
        with self._lock:
            self._in_use -= 1
            user.in_use -= 1
            self.used_at = time.monotonic()
        if self._gone:
            self.unload()
        self._make_room(None)
        self._tidy(user)

    def _tidy(self, user: PooledScorer) -> None:
        with self._lock:
            cache = self._caches.pop(user, None) if user.gone and not user.in_use else None
        if cache is not None:  # in a thread, since it waits for its connection's end
            Thread(target=cache.close, name=f"forget {user.name}", daemon=True).start()

    def _open(self) -> Scorer:
        self._make_room(self)
        scorer = self._opener()
        self.activation, self.memory = scorer.activation, scorer.memory_bytes()
        self._opened = scorer
        self._make_room(self)
        if self._gone:
            self.unload()
        return scorer

    def _drop(self) -> None:
        """Let the model go; what is submitted from now on loads it again."""
        going = [self._lazy, *self._caches.values()]
        self._opened, self._lazy, self._caches = None, LazyScorer(self.name, self._open), {}
        # In a thread of its own: it waits for the batch that is being computed, and may be called from the model's own.
        Thread(target=_free, args=(going,), name=f"unload {self.name}", daemon=True).start()


def _free(scorers: list[LazyScorer]) -> None:
    while scorers:  # afterwards nothing here holds the model
        scorers.pop(0).close()  # if that fails, its future logs it
    gc.collect()  # modules of torch hold each other in cycles
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class PooledScorer(Scorer):
    """A model under one of its names, with the score cache of that name.

    Args:
        model: the name, and what is served under it.
        shared: the model.

    Attributes:
        model, shared: as given.
        in_use: requests under this name that are not answered yet; and its load at start.
        gone: whether it is no longer served.
    """

    def __init__(self, model: ServedModel, shared: SharedModel) -> None:
        self.name = model.name
        self.model = model
        self.shared = shared
        self.in_use = 0
        self.gone = False

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[Answer]:
        """See `Scorer.submit`."""
        return self._use(lambda scorer: scorer.submit(query, passages, windows=windows, deadline=deadline))

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """See `Scorer.announce`; a model that is not loaded stays so, and what keeps scores announces nothing."""
        if self.model.section.score_cache is None:
            self.shared.announce(query, deadline)

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[Answer]:
        """See `Scorer.submit_layers`."""
        return self._use(lambda scorer: scorer.submit_layers(query, passages))

    def load(self) -> None:
        """Load the model now, if it is not loaded.

        Raises:
            ScorerError: if it cannot be loaded.
        """

        def nothing(_: Scorer) -> Future[Answer]:
            done: Future[Answer] = Future()
            done.set_result([])
            return done

        self._use(nothing).result()

    def _use(self, ask: Callable[[Scorer], Future[Answer]]) -> Future[Answer]:
        def ask_it(scorer: Scorer) -> Future[Answer]:
            self.activation, self.layers, self.reads_queries = scorer.activation, scorer.layers, scorer.reads_queries
            return ask(scorer)

        return self.shared.use(self, ask_it)
