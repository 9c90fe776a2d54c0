"""Names whose sections differ only in how they keep scores have one model between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from rebridge.server.metrics import Metrics
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable
from rebridge.server.rerank import rerank_router
from rebridge.server.scoring import PoolScoring

from .reranking import HeldScorer
from .shared_models import ALL, MIB, Recording, Shelf, ask, loaded, served, until


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
    assert [told["memory_bytes", name] for name in names] == [10 * MIB, 0, 0]
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
    held.memory_bytes = lambda: 10 * MIB  # type: ignore[method-assign]
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
    until(lambda: [state.in_use for state in pool.states()] == [0] * 4)
