"""Models of a pool that differ only in how they keep scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebridge.config import ScorerSection
from rebridge.server.models.pool import ModelPool, ModelState
from rebridge.server.models.table import ModelTable, ServedModel

from .test_model_pool import Shelf, ask


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder with what a fingerprint reads; nothing is loaded from it."""
    (tmp_path / "config.json").write_text("{}")
    return str(tmp_path)


def served(name: str, model: str, size: int | None = None) -> ServedModel:
    """A model that keeps so many scores; None for one that keeps none."""
    section = ScorerSection(model=model, device="cpu")
    if size is not None:
        section = ScorerSection.model_validate({"model": model, "device": "cpu", "score_cache": {"size": size}})
    return ServedModel(name, section)


def pipelines(model: str, *sizes: int | None) -> ModelTable:
    """The models of pipelines that keep so many scores, under the names that they have in a server."""
    return ModelTable([]).with_sections(served("", model, size).section for size in sizes)


def states(pool: ModelPool) -> dict[str, ModelState]:
    return {state.name: state for state in pool.states()}


def looks(pool: ModelPool, name: str) -> tuple[int, int]:
    """Hits and misses of a model's cache."""
    counts = states(pool)[name].counts
    return counts["score_hits"], counts["score_misses"]


def test_one_model_for_all_caches(model: str) -> None:
    """The model is loaded once for pipelines with other caches and without one; each cache keeps its own scores."""
    shelf = Shelf()
    table = ModelTable([served("small", model, 9), served("plain", model), served("large", model, 99)])
    pool = ModelPool(table, opener=shelf)
    assert [ask(pool, name) for name in ("small", "small", "large", "plain", "plain")] == [[(1.0,)]] * 5
    assert shelf.names == [model]
    assert (looks(pool, "small"), looks(pool, "large"), looks(pool, "plain")) == ((1, 1), (0, 1), (0, 0))
    assert [(state.name, state.loaded, state.memory_mb) for state in pool.states()] == [
        (name, True, 10.0) for name in ("small", "plain", "large")
    ]
    assert pool.scorer("small").activation == "sigmoid"


def test_where_every_pipeline_keeps_scores(model: str) -> None:
    """Two caches have one model between them although nobody asks for it without a cache, and it has no name."""
    shelf = Shelf()
    pool = ModelPool(ModelTable([served("small", model, 9), served("large", model, 99)]), opener=shelf)
    assert ask(pool, "small") == ask(pool, "large") == [(1.0,)]
    assert shelf.names == [model]
    assert list(states(pool)) == ["small", "large"]


def test_caches_take_nothing_of_the_memory_budget(model: str) -> None:
    """A shared model counts once; kept scores answer although it was unloaded, and it comes back when it is needed."""
    shelf = Shelf()
    others = [ServedModel(name, ScorerSection(model=name)) for name in ("b", "c")]
    pool = ModelPool(ModelTable([served("plain", model), served("kept", model, 9), *others]), 20, shelf)
    for name in ("plain", "kept", "b"):
        ask(pool, name)
    assert [state.loaded for state in pool.states()] == [True, True, True, False]
    ask(pool, "c")
    assert [state.loaded for state in pool.states()] == [False, False, True, True]
    assert ask(pool, "kept") == [(1.0,)]
    assert shelf.names == [model, "b", "c"]
    assert pool.scorer("kept").submit("q", ["other"]).result(timeout=10) == [(1.0,)]
    assert shelf.names == [model, "b", "c", model]


@pytest.mark.parametrize("sizes", [[None], [99], [None, 99], [9, 99]])
def test_another_cache_loads_no_model_again(model: str, sizes: list[int | None]) -> None:
    """A reload that adds, changes or removes caches of pipelines leaves the model in memory for those that go on."""
    shelf = Shelf()
    pool = ModelPool(pipelines(model, None, 9), opener=shelf)
    for state in pool.states():
        ask(pool, state.name)
    pool.update(pipelines(model, *sizes))
    assert len(pool.states()) == len(sizes)
    assert [ask(pool, state.name) for state in pool.states() * 2] == [[(1.0,)]] * 2 * len(sizes)
    assert shelf.names == [model]
    assert not shelf.opened[0][1].closed.is_set()


def test_closing_frees_the_model_beneath_caches(model: str) -> None:
    """A model that only caches stand on is freed with the pool, and when its last cache goes."""
    shelf = Shelf()
    pool = ModelPool(ModelTable([served("kept", model, 9)]), opener=shelf)
    ask(pool, "kept")
    pool.update(ModelTable([]))
    assert shelf.opened[0][1].closed.wait(10)
    pool.update(ModelTable([served("kept", model, 9)]))
    ask(pool, "kept")
    pool.close()
    assert shelf.opened[1][1].closed.wait(10)
