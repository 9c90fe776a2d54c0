"""Scores in a Redis belong to the weights that gave them, also where several sections share a model."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from rebridge.config import ScorerSection
from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer, Scorer, open_section
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.shared_scorers import LazyScorer, SharedScorers

pytest.importorskip("redis", reason="this needs the extra: pip install 'rebridge[redis]'")

from rebridge.scorers.score_cache.shared import RedisScores

from .redis_server import Server, until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    """A Redis that runs."""
    with Server(tmp_path) as running:
        yield running


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
        until(lambda: connections() == alone)
        assert [state.loaded for state in pool.states()] == [True]


def test_connections_begin_and_end_in_threads_of_their_own(
    store: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event loop that asks, announces a query or serves another table never waits for one; announcing opens none."""
    began: list[str] = []
    ended: list[str] = []
    begin, end = RedisScores.__init__, RedisScores.close

    def beginning(scores: RedisScores, *given: Any) -> None:
        began.append(threading.current_thread().name)
        begin(scores, *given)

    def ending(scores: RedisScores) -> None:
        ended.append(threading.current_thread().name)
        end(scores)

    monkeypatch.setattr(RedisScores, "__init__", beginning)
    monkeypatch.setattr(RedisScores, "close", ending)
    names = [plain(folder), sharing(folder, store.url)]
    with closing(ModelPool(ModelTable(names))) as pool:
        asked(pool.scorer("plain"))
        pool.scorer("sharing").announce("q")
        assert began == []
        asked(pool.scorer("sharing"))
        assert began == ["open sharing"]
        pool.update(ModelTable(names[:1]))
        until(lambda: ended == ["forget sharing"])


def test_an_address_that_redis_py_refuses_costs_only_its_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its requests fail with what is wrong, and it is not tried again with each of them."""
    names = [plain(folder), sharing(folder, "redis://localhost/0?max_connections=many")]
    with closing(ModelPool(ModelTable(names))) as pool, caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(ScorerError, match="max_connections"):
                asked(pool.scorer("sharing"))
            assert len(asked(pool.scorer("plain"))) == 2
        until(lambda: [state.in_use for state in pool.states()] == [0, 0])
    assert len([record for record in caplog.records if "cannot be opened" in record.getMessage()]) == 1


def test_scores_of_unknown_weights_are_not_shared(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could find them: Redis is not asked, a record says why, and the process keeps scores for itself."""
    monkeypatch.delattr(RedisScores, "__init__")  # it takes no address now
    model = FakeScorer(default=1.0)
    with open_section(sharing(folder, "redis://localhost").section, lambda: model) as scorer:
        for _ in range(2):
            assert asked(scorer) == [(1.0,), (1.0,)]
    assert len(model.calls) == 1
    assert "not kept in the Redis at localhost:6379: its files were not read" in caplog.text


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
        until(lambda: [state.in_use for state in pool.states()] == [0, 0])
    assert len(opened) == 1
