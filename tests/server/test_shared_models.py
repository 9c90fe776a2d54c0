"""Names whose sections differ only in how they keep scores have one model between them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.scorers.base import Counts
from rebridge.server.metrics import Metrics
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.server.rerank import rerank_router
from rebridge.server.scoring import PoolScoring

from .reranking import HeldScorer

_MIB = 2**20


class Recording(FakeScorer):
    """A fake of 10 MiB that remembers what it was asked, and refuses when it is closed."""

    def __init__(self) -> None:
        super().__init__(default=1.0, activation="sigmoid")
        self.asked: list[str] = []
        self.closed = threading.Event()

    def submit(self, query: str, passages: Sequence[str], **options: Any) -> Future[list[tuple[float, ...]]]:
        """Remember them."""
        if self.closed.is_set():
            raise ScorerError("it is closed")
        self.asked.extend(passages)
        return super().submit(query, passages, **options)

    def memory_bytes(self) -> int:
        """As a model of that size."""
        return 10 * _MIB

    def counts(self) -> Counts:
        """As of a model that was asked this."""
        return Counts(inputs=len(self.asked))

    def close(self) -> None:
        """Remember it."""
        self.closed.set()


class Shelf:
    """Opens fakes, and remembers them."""

    def __init__(self) -> None:
        self.opened: list[Recording] = []

    def __call__(self, section: ScorerSection) -> Scorer:
        """Open one."""
        assert section.score_cache is None
        self.opened.append(Recording())
        return self.opened[-1]


def served(name: str, model: str = "m", *, size: int | None = None) -> ServedModel:
    """A name that keeps some scores, or none."""
    return ServedModel(name, ScorerSection(model=model, score_cache=size and {"size": size}))  # type: ignore[arg-type]


ALL = (served("plain"), served("small", size=1), served("large", size=100))


def ask(pool: ModelPool, name: str, *passages: str) -> list[tuple[float, ...]]:
    return pool.scorer(name).submit("q", passages or ["p"]).result(timeout=10)


def loaded(pool: ModelPool) -> list[str]:
    return [state.name for state in pool.states() if state.loaded]


def test_the_model_is_loaded_once_and_each_name_has_its_own_cache() -> None:
    """A name without a cache asks the model every time; no cache knows what was asked under another name."""
    shelf = Shelf()
    pool = ModelPool(ModelTable(ALL), opener=shelf)
    for _ in range(2):
        for name in ("plain", "small", "large"):
            assert ask(pool, name, "a", "b") == [(1.0,), (1.0,)]
    (model,) = shelf.opened
    # The small cache has forgotten the first passage of two; the large one has both.
    assert model.asked == ["a", "b", "a", "b", "a", "b", "a", "b", "a"]
    assert [pool.scorer(name).activation for name in ("plain", "small", "large")] == ["sigmoid"] * 3


def test_metrics_tell_of_a_shared_model_once_and_of_each_cache() -> None:
    """The memory and the work of all names add up to what there is; each has the hits of its own cache."""
    pool = ModelPool(ModelTable(ALL), opener=Shelf())
    for name in ("large", "large", "small", "plain"):
        ask(pool, name, "a", "b")
    text = Metrics().exposition(pool.states()).decode()
    told = {
        (sample.name.removeprefix("rebridge_model_"), sample.labels["model"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("rebridge_model_") and "model" in sample.labels
    }
    names = [model.name for model in ALL]
    assert [told["memory_bytes", name] for name in names] == [10 * _MIB, 0, 0]
    assert [told["inputs_total", name] for name in names] == [6, 0, 0]
    assert [told["loaded", name] for name in names] == [1, 1, 1]
    assert [told["score_hits_total", name] for name in names] == [0, 0, 2]
    assert [told["score_misses_total", name] for name in names] == [0, 2, 2]


def test_all_names_of_a_loaded_model_are_listed_as_loaded() -> None:
    """``/v1/models`` has every name, each loaded as soon as one of them is."""
    pool = ModelPool(ModelTable([*ALL, served("other", "n")]), opener=Shelf())
    app = FastAPI()
    app.include_router(rerank_router(PoolScoring(pool)))
    api = TestClient(app)
    assert api.post("/v2/rerank", json={"model": "small", "query": "q", "documents": ["p"]}).status_code == 200
    cards = api.get("/v1/models").json()["data"]
    assert [(card["id"], card["loaded"]) for card in cards] == [
        ("plain", True), ("small", True), ("large", True), ("other", False),
    ]  # fmt: skip


def test_a_shared_model_stays_while_any_of_its_names_is_in_use() -> None:
    """The budget is exceeded until the last name is idle; requests count for the name that they gave."""
    held = HeldScorer()
    held.memory_bytes = lambda: 10 * _MIB  # type: ignore[method-assign]
    table = ModelTable([*ALL, served("other", "n")])
    pool = ModelPool(table, budget_mb=10, opener=lambda section: held if section.model == "m" else Recording())
    waiting = [pool.scorer(name).submit("q", [name]) for name in ("plain", "large")]
    for _ in waiting:
        assert held.asked.acquire(timeout=10)
    assert {state.name: state.in_use for state in pool.states()} == {"plain": 1, "small": 0, "large": 1, "other": 0}
    for future in list(held.futures):
        ask(pool, "other")
        assert loaded(pool)[:3] == ["plain", "small", "large"]
        future.set_result([(2.0,)])
    assert [future.result(10) for future in waiting] == [[(2.0,)]] * 2
    ask(pool, "other")
    assert loaded(pool) == ["other"]


def test_a_shared_model_counts_once_in_the_budget_and_is_as_fresh_as_its_last_use() -> None:
    """Three names and another model fit where two models do; the third model takes the place of the stalest."""
    shelf = Shelf()
    pool = ModelPool(ModelTable([*ALL, served("b", "b"), served("c", "c")]), budget_mb=20, opener=shelf)
    for name in ("plain", "small", "large", "b", "small", "c"):
        ask(pool, name, name)
    assert loaded(pool) == ["plain", "small", "large", "c"]
    assert shelf.opened[1].closed.wait(10)
    assert ask(pool, "plain") == [(1.0,)]
    assert len(shelf.opened) == 3


def test_another_table_keeps_a_model_as_long_as_a_name_needs_it() -> None:
    """Names that come, go or keep scores in another way load nothing; the last one frees the model."""
    shelf = Shelf()
    pool = ModelPool(ModelTable(ALL[:1]), opener=shelf)
    ask(pool, "plain")
    for models in (ALL, ALL[1:], [served("small", size=50)], [served("new", size=7)]):
        pool.update(ModelTable(models))
        for model in models:
            assert ask(pool, model.name) == ask(pool, model.name) == [(1.0,)]
    (model_of_all,) = shelf.opened
    assert not model_of_all.closed.is_set()
    pool.update(ModelTable([served("other", "n")]))
    assert model_of_all.closed.wait(10)


def test_a_name_that_stays_keeps_its_scores_when_others_go() -> None:
    """A reload of the configuration forgets no scores of pipelines that it does not change."""
    shelf = Shelf()
    pool = ModelPool(ModelTable(ALL), opener=shelf)
    ask(pool, "large")
    ask(pool, "small")
    pool.update(ModelTable([served("other", "n"), ALL[2]]))
    ask(pool, "large")
    assert shelf.opened[0].asked == ["p", "p"]


def test_scores_of_an_unloaded_model_are_forgotten() -> None:
    """A model that is loaded again may have other weights: it is asked again."""
    shelf = Shelf()
    pool = ModelPool(ModelTable([*ALL, served("other", "n")]), budget_mb=10, opener=shelf)
    for name in ("large", "other", "large"):
        ask(pool, name)
    assert [model.asked for model in shelf.opened] == [["p"]] * 3
    assert pool.states()[2].counts["score_hits"] == 0


@pytest.mark.parametrize("names", [("plain", "large", "other"), ("small", "large", "other")])
def test_no_question_meets_a_closed_model(names: tuple[str, ...]) -> None:
    """However often a small budget has models unloaded, each stays from its load to the answer that it is for."""
    pool = ModelPool(ModelTable([*ALL, served("other", "n")]), budget_mb=10, opener=Shelf())
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda number: ask(pool, names[number % 3], str(number)), range(600)))
    assert answers == [[(1.0,)]] * 600
    assert [state.in_use for state in pool.states()] == [0] * 4
