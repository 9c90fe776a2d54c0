"""A model, and the names that share it: those whose sections differ only in how they keep scores."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from weakref import WeakKeyDictionary

from rebridge.config import ScorerSection
from rebridge.errors import MissingExtra, ScorerError
from rebridge.scorers.base import Activation, Counts, Scorer
from rebridge.scorers.sections import open_section
from rebridge.server.models.table import ServedModel
from rebridge.shared_scorers import Answer, LazyScorer
from rebridge.steps import Windows


class SharedModel:
    """A model that is in memory when somebody needs it. Whoever has submitted something uses it until that is done.

    Args:
        name: what messages call it.
        section: how it is opened, without a score cache.
        fingerprinted: whether its opened scorer knows its fingerprint, as is needed where processes share scores.
        opener: opens it.
        make_room: called when it is about to take memory (with the model) and when somebody has used it (with None).

    Attributes:
        name, section, fingerprinted: as given.
        loaded: whether it is in memory.
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
        self.loaded = False
        self.activation: Activation | None = None
        self.memory = 0
        self.used_at = 0.0
        self._opener = opener
        self._make_room = make_room
        self._gone = False
        self._users = 0
        self._lock = Lock()
        self._opened: Scorer | None = None
        self._load = _Load(name, self._open)

    def use(self, face: PooledScorer, submit: Callable[[Scorer], Future[Answer]]) -> Future[Answer]:
        """What is asked of a name's scorer. The model is loaded if it is not, and stays until the future is done."""
        load = self._enter(face, asked=1)
        try:
            future = load.lazy.ask(lambda scorer: submit(load.scorer(face, scorer)))
        except BaseException:
            self._leave(face, asked=1)
            raise
        future.add_done_callback(lambda _: self._leave(face, asked=1))
        return future

    def open(self, face: PooledScorer) -> None:
        """Load the model now, if it is not loaded, and open what a name has of its own.

        Raises:
            Exception: whatever loading raised.
        """
        load = self._enter(face, asked=0)
        try:
            load.scorer(face, load.lazy.load())
        finally:
            self._leave(face, asked=0)

    def announce(self, face: PooledScorer, query: str, deadline: float | None) -> None:
        """See `Scorer.announce`; a model that is not loaded stays so."""
        with self._lock:
            if self._opened is not None:
                with suppress(ScorerError):  # it shows when passages are submitted
                    self._load.scorer(face, self._opened).announce(query, deadline=deadline)

    def counts(self, face: PooledScorer) -> Counts:
        """What the model and a name's score cache have done since it was loaded."""
        opened, load = self._opened, self._load
        return Counts() if opened is None else load.faces.get(face, opened).counts()

    def busy_s(self) -> float:
        """How long it has been at the same batch, seconds."""
        opened = self._opened
        since = opened.busy_since() if opened is not None else None
        return 0.0 if since is None else max(0.0, time.monotonic() - since)

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

    def _enter(self, face: PooledScorer, *, asked: int) -> _Load:
        with self._lock:
            self._users += 1
            face.in_use += asked
            self.used_at = time.monotonic()
            return self._load

    def _leave(self, face: PooledScorer, *, asked: int) -> None:
        with self._lock:
            self._users -= 1
            face.in_use -= asked
            self.used_at = time.monotonic()
        if self._gone:
            self.unload()
        self._make_room(None)

    def _open(self) -> Scorer:
        self._make_room(self)
        scorer = self._opener()
        self.activation, self.memory = scorer.activation, scorer.memory_bytes()
        self._opened, self.loaded = scorer, True
        self._make_room(self)
        if self._gone:
            self.unload()
        return scorer

    def _drop(self) -> None:
        """Let the model go; what is submitted from now on loads it again."""
        load, self._load = self._load, _Load(self.name, self._open)
        self._opened, self.loaded = None, False
        # In a thread of its own: it waits for the batch that is being computed, and may be called from the model's own.
        Thread(target=load.free, name=f"unload {self.name}", daemon=True).start()


class _Load:
    """One time of a model in memory, and the scorers of its names.

    Args:
        name: the model's name.
        opener: opens it.

    Attributes:
        lazy: the model's own scorer.
        faces: per name that was used and keeps scores, what keeps them. A name that goes takes its own along.
    """

    def __init__(self, name: str, opener: Callable[[], Scorer]) -> None:
        self.lazy = LazyScorer(name, opener)
        self.faces: WeakKeyDictionary[PooledScorer, Scorer] = WeakKeyDictionary()
        self._lock = Lock()

    def scorer(self, face: PooledScorer, opened: Scorer) -> Scorer:
        """The scorer of a name: the model's own, or one that keeps its scores.

        Raises:
            ScorerError: if the packages are missing for what keeps them.
        """
        scorer = opened
        if face.model.section.score_cache is not None:
            with self._lock:
                try:
                    scorer = self.faces.get(face) or open_section(face.model.section, lambda: opened)
                except MissingExtra as error:
                    raise ScorerError(str(error)) from error
                self.faces[face] = scorer
        face.activation, face.layers, face.reads_queries = scorer.activation, scorer.layers, scorer.reads_queries
        return scorer

    def free(self) -> None:
        """Close the scorers."""
        with self._lock:
            faces = tuple(self.faces.values())
        for scorer in (*faces, self.lazy):
            scorer.close()
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
        in_use: requests under this name that are not answered yet.
    """

    def __init__(self, model: ServedModel, shared: SharedModel) -> None:
        self.name = model.name
        self.model = model
        self.shared = shared
        self.in_use = 0

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[Answer]:
        """See `Scorer.submit`."""
        return self.shared.use(self, lambda scorer: scorer.submit(query, passages, windows=windows, deadline=deadline))

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """See `Scorer.announce`; a model that is not loaded stays so."""
        self.shared.announce(self, query, deadline)

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[Answer]:
        """See `Scorer.submit_layers`."""
        return self.shared.use(self, lambda scorer: scorer.submit_layers(query, passages))

    def load(self) -> None:
        """Load the model now, if it is not loaded.

        Raises:
            Exception: whatever loading raised.
        """
        self.shared.open(self)
