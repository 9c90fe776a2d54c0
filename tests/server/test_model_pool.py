"""When models are loaded and unloaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError, UnknownModel
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable, ServedModel

from .reranking import HeldScorer


class Weighty(FakeScorer):
    """A fake of 10 MiB that knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__(default=1.0, activation="sigmoid")
        self.closed = threading.Event()

    def memory_bytes(self) -> int:
        """As a model of that size."""
        return 10 * 2**20

    def close(self) -> None:
        """Remember it."""
        self.closed.set()


class Shelf:
    """Opens models, and remembers which."""

    def __init__(self, make: Callable[[], Scorer] = Weighty) -> None:
        self.opened: list[tuple[str, Any]] = []
        self.make = make

    def __call__(self, section: ScorerSection) -> Scorer:
        """Open one."""
        scorer = self.make()
        self.opened.append((section.model, scorer))
        return scorer

    @property
    def names(self) -> list[str]:
        """The models that were opened, in order."""
        return [name for name, _ in self.opened]


def table(*names: str, preload: bool = False) -> ModelTable:
    return ModelTable([ServedModel(name, ScorerSection(model=name), preload=preload) for name in names])


def loaded(pool: ModelPool) -> list[str]:
    return [state.name for state in pool.states() if state.loaded]


def ask(pool: ModelPool, name: str) -> list[tuple[float, ...]]:
    return pool.scorer(name).submit("q", ["p"]).result(timeout=10)


def test_a_model_is_loaded_once_when_it_is_first_asked_for() -> None:
    """However many ask at the same time, the model is loaded once."""
    shelf = Shelf(lambda: time.sleep(0.1) or Weighty())
    pool = ModelPool(table("a", "b"), opener=shelf)
    assert shelf.names == []
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: ask(pool, "a"), range(8))) == [[(1.0,)]] * 8
    assert shelf.names == ["a"]


def test_models_are_loaded_at_start_where_that_is_wanted() -> None:
    """One that cannot be loaded does not keep the others from serving."""

    def opener(section: ScorerSection) -> Scorer:
        if section.model == "bad":
            raise ScorerError("no such model")
        return Weighty()

    pool = ModelPool(table("bad", "good", preload=True), opener=opener)
    assert not pool.ready.is_set()
    pool.preload()
    assert pool.ready.is_set()
    assert loaded(pool) == ["good"]
    with pytest.raises(ScorerError, match="no such model"):
        ask(pool, "bad")


def test_the_model_that_was_not_used_for_longest_is_unloaded_above_the_budget() -> None:
    """The budget holds two models; the third takes the place of the one that was used least recently."""
    shelf = Shelf()
    pool = ModelPool(table("a", "b", "c"), budget_mb=20, opener=shelf)
    for name in ("a", "b", "a", "c"):
        ask(pool, name)
    assert loaded(pool) == ["a", "c"]
    assert shelf.opened[1][1].closed.wait(10)
    assert ask(pool, "b") == [(1.0,)]
    assert shelf.names == ["a", "b", "c", "b"]


def test_a_model_in_use_is_never_unloaded() -> None:
    """The budget is exceeded rather than a request failed, and kept again as soon as that is possible."""
    held = HeldScorer()
    held.memory_bytes = lambda: 10 * 2**20  # type: ignore[method-assign]
    models = {"held": held, "other": Weighty()}
    pool = ModelPool(table("held", "other"), budget_mb=10, opener=lambda section: models[section.model])
    waiting = pool.scorer("held").submit("q", ["p"])
    assert held.asked.acquire(timeout=10)
    ask(pool, "other")
    assert "held" in loaded(pool)
    held.futures[0].set_result([(2.0,)])
    assert waiting.result(timeout=10) == [(2.0,)]
    ask(pool, "other")
    assert loaded(pool) == ["other"]


def test_the_state_of_a_model_is_known() -> None:
    """Memory and activation are known once it was loaded; in_use counts who waits."""
    held = HeldScorer()
    pool = ModelPool(table("a"), opener=lambda _: held)
    before = pool.states()[0]
    assert (before.loaded, before.activation, before.memory_mb, before.in_use) == (False, None, None, 0)
    pool.scorer(None).submit("q", ["p"])
    assert held.asked.acquire(timeout=10)
    state = pool.states()[0]
    assert (state.loaded, state.activation, state.memory_mb, state.in_use) == (True, "identity", 0.0, 1)


def test_a_cancelled_request_uses_no_model() -> None:
    """Giving up frees the model, and cancels what was asked of it."""
    held = HeldScorer()
    pool = ModelPool(table("a"), opener=lambda _: held)
    future: Future[Any] = pool.scorer("a").submit("q", ["p"])
    assert held.asked.acquire(timeout=10)
    future.cancel()
    assert held.futures[0].cancelled()
    assert pool.states()[0].in_use == 0


def test_the_activation_is_that_of_the_model() -> None:
    """Whoever has scores knows how they become official."""
    pool = ModelPool(table("a"), opener=Shelf())
    ask(pool, "a")
    assert pool.scorer("a").activation == "sigmoid"
    assert pool.scorer("a").score("q", ["p"]) == [pytest.approx(0.731058)]


def test_another_table_keeps_what_stays_and_frees_what_goes() -> None:
    """A reload of the configuration loads no model again that has not changed."""
    shelf = Shelf()
    pool = ModelPool(table("a", "b"), opener=shelf)
    ask(pool, "a")
    ask(pool, "b")
    pool.update(table("a", "c"))
    assert shelf.opened[1][1].closed.wait(10)
    assert ask(pool, "a") == ask(pool, "c") == [(1.0,)]
    assert shelf.names == ["a", "b", "c"]
    with pytest.raises(UnknownModel):
        pool.scorer("b")


def test_a_model_that_goes_answers_what_it_was_asked() -> None:
    """A request that waits while the table changes gets its scores."""
    held = HeldScorer()
    pool = ModelPool(table("a"), opener=lambda _: held)
    waiting = pool.scorer("a").submit("q", ["p"])
    assert held.asked.acquire(timeout=10)
    pool.update(table("b"))
    held.futures[0].set_result([(3.0,)])
    assert waiting.result(timeout=10) == [(3.0,)]


@pytest.mark.slow
def test_the_size_of_a_real_model_is_that_of_its_weights(tmp_path: Path) -> None:
    """A model's memory is that of its parameters."""
    import torch
    from transformers import BertConfig, BertModel

    from rebridge.scorers.torch_model import TorchModel

    model = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    counted = TorchModel(model, None, torch.device("cpu")).memory_bytes()  # type: ignore[arg-type]
    parameters = sum(weight.numel() * 4 for weight in model.parameters())
    assert parameters <= counted < parameters * 1.1


def test_an_announcement_loads_nothing() -> None:
    """A model that is loaded hears of a query; one that is not stays so, and nobody uses it."""
    heard: list[str] = []

    class Reads(Weighty):
        reads_queries = True

        def announce(self, query: str, *, deadline: float | None = None) -> None:
            heard.append(query)

    shelf = Shelf(Reads)
    pool = ModelPool(table("a"), opener=shelf)
    scorer = pool.scorer("a")
    scorer.announce("early")
    assert not scorer.reads_queries
    assert shelf.names == []
    scorer.submit("q", ["p"]).result(10)
    assert scorer.reads_queries
    scorer.announce("in time", deadline=1.0)
    assert heard == ["in time"]
    assert pool.states()[0].in_use == 0
