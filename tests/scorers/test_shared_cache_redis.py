"""Scores in a Redis belong to the weights that gave them, also where several sections share a model."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import Scorer, open_section
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.shared_scorers import LazyScorer, SharedScorers

pytest.importorskip("redis", reason="this needs the extra: pip install 'rebridge[redis]'")

from .redis_server import Server, until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    """A Redis that runs."""
    running = Server(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def folder(cross_encoder: Path, tmp_path: Path) -> Path:
    """A model whose files may change."""
    return shutil.copytree(cross_encoder, tmp_path / "model")


def plain(folder: Path) -> ServedModel:
    return ServedModel("plain", ScorerSection(model=str(folder), device="cpu"))


def sharing(folder: Path, url: str) -> ServedModel:
    section = {"model": str(folder), "device": "cpu", "score_cache": {"redis": url}}
    return ServedModel("sharing", ScorerSection.model_validate(section))


def asked(scorer: Scorer) -> list[tuple[float, ...]]:
    return scorer.submit("q", ["red shoes", "a boat"]).result(30)


def asked_until_kept(scorer: Scorer, server: Server) -> list[tuple[float, ...]]:
    """The scores of two passages, once they are in Redis: no search waits for a connection."""
    numbers = iter(range(10_000))

    def shares() -> bool:
        scorer.submit(f"connected? {next(numbers)}", ["p"]).result(30)
        return bool(server.client.dbsize())

    until(shares)
    before = server.client.dbsize()
    found = asked(scorer)
    until(lambda: server.client.dbsize() >= before + 2)
    return found


def change(folder: Path) -> None:
    """Put other weights into the folder, as a download does: the file is replaced, not overwritten."""
    weights = folder / "model.safetensors"
    save_file({name: 2 * tensor for name, tensor in load_file(weights).items()}, folder / "new", {"format": "pt"})
    (folder / "new").replace(weights)


def seen_by_another(section: ScorerSection) -> list[tuple[float, ...]]:
    """What a new process with the same section and the same Redis gives."""
    with open_section(section) as scorer:
        for number in range(20):  # until it is connected
            scorer.submit(f"{number}", ["p"]).result(30)
        return asked(scorer)


def test_processes_share_the_scores_of_a_shared_model(store: Server, folder: Path) -> None:
    """Names and pipelines that keep scores in a Redis find there what another process computed."""
    names = [plain(folder), sharing(folder, store.url)]
    queries = [f"query {number}" for number in range(200)]
    with open_section(names[1].section) as other:
        asked_until_kept(other, store)
        before = store.client.dbsize()
        expected = {query: other.submit(query, ["red shoes"]).result(30) for query in queries}
        until(lambda: store.client.dbsize() == before + len(queries))

    def finds(scorer: Scorer, hits: Callable[[], int]) -> None:
        left = iter(queries)  # each is asked once, so that nothing was kept here

        def found() -> int:
            query = next(left)
            assert scorer.submit(query, ["red shoes"]).result(30) == expected[query]
            return hits()

        until(found)

    with closing(ModelPool(ModelTable(names))) as pool, closing(SharedScorers()) as models:
        assert len(asked(pool.scorer("plain"))) == 2
        finds(pool.scorer("sharing"), lambda: pool.states()[1].counts["score_hits"])
        first, second = (models.get(served.section) for served in names)
        assert len(asked(first)) == 2
        assert isinstance(second, LazyScorer)
        finds(second, lambda: second.load().counts().score_hits)


@pytest.mark.parametrize("late", [False, True])
def test_scores_are_kept_under_the_weights_that_gave_them(store: Server, folder: Path, *, late: bool) -> None:
    """Files that change after a model was loaded are another model's, also if a name that shares scores comes later."""
    names = [plain(folder), sharing(folder, store.url)]
    pool = ModelPool(ModelTable(names[:1] if late else names))
    with closing(pool):
        old = asked(pool.scorer("plain"))
        change(folder)
        with open_section(names[0].section) as fresh:
            new = asked(fresh)
        assert new != old
        pool.update(ModelTable(names))
        assert asked_until_kept(pool.scorer("sharing"), store) == (new if late else old)
        assert asked(pool.scorer("plain")) == old
        assert seen_by_another(names[1].section) == new


def test_pipelines_keep_scores_under_the_weights_that_gave_them(store: Server, folder: Path) -> None:
    """The same within one process, where a pipeline's cache is opened long after the model that it shares."""
    with closing(SharedScorers()) as models:
        first, second = (models.get(served.section) for served in (plain(folder), sharing(folder, store.url)))
        old = asked(first)
        change(folder)
        assert asked_until_kept(second, store) == old
        assert seen_by_another(sharing(folder, store.url).section) != old


def test_a_name_that_goes_ends_its_connection(store: Server, folder: Path) -> None:
    """A reload of the configuration leaves nothing open for a pipeline that is gone, though others use its model."""
    names = [plain(folder), sharing(folder, store.url)]

    def connections() -> int:
        return len(store.client.client_list())

    with closing(ModelPool(ModelTable(names))) as pool:
        alone = connections()
        assert asked(pool.scorer("plain")) == asked(pool.scorer("sharing"))
        until(lambda: connections() > alone)
        pool.update(ModelTable(names[:1]))
        gc.collect()  # as it is now and then
        until(lambda: connections() == alone)
        assert [state.loaded for state in pool.states()] == [True]


def test_a_missing_package_costs_only_the_name_that_needs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests say which extra is missing; those that keep no scores elsewhere are answered by the same model."""
    monkeypatch.setitem(sys.modules, "rebridge.scorers.score_cache.shared", None)
    opened: list[Any] = []

    def opener(section: ScorerSection) -> Scorer:
        opened.append(section)
        return open_section(section)

    pool = ModelPool(ModelTable([plain(folder), sharing(folder, "redis://localhost")]), opener=opener)
    with closing(pool):
        for _ in range(2):
            with pytest.raises(ScorerError, match=r"rebridge\[redis\]"):
                asked(pool.scorer("sharing"))
            pool.scorer("sharing").announce("q")
            assert len(asked(pool.scorer("plain"))) == 2
        assert [state.in_use for state in pool.states()] == [0, 0]
    assert len(opened) == 1
