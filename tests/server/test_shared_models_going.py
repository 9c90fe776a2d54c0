"""What becomes of a model that names share, and of their caches, when names come and go."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from rebridge.scorers.score_cache import CachedScorer
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable

from .reranking import HeldScorer
from .shared_models import ALL, Shelf, ask, loaded, served, until


def test_what_a_model_did_stays_with_a_name_that_stays() -> None:
    """Counters neither fall nor jump at a reload, whatever comes before their name in the configuration."""
    pool = ModelPool(ModelTable(ALL), opener=Shelf())
    ask(pool, "plain", "a", "b")

    def told() -> dict[str, tuple[float | None, int]]:
        return {state.name: (state.memory_mb, state.counts["inputs"]) for state in pool.states()}

    for models in ([served("new", size=7), *ALL], reversed(ALL), ALL):
        pool.update(ModelTable(models))
        assert {name: each for name, each in told().items() if any(each)} == {"plain": (10.0, 2)}
    pool.update(ModelTable(ALL[1:]))
    assert told() == {"small": (10.0, 2), "large": (0.0, 0)}


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


def test_a_name_that_goes_answers_what_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cache closes after the last answer, in no thread that answers others; the model stays for other names."""
    closed: Queue[str] = Queue()
    monkeypatch.setattr(CachedScorer, "close", lambda _: closed.put(threading.current_thread().name))
    held = HeldScorer()
    pool = ModelPool(ModelTable(ALL), opener=lambda _: held)
    waiting = []
    for passage in "ab":
        waiting.append(pool.scorer("large").submit("q", [passage]))
        assert held.asked.acquire(timeout=10)
    pool.update(ModelTable(ALL[:1]))
    for future, expected in zip(waiting, (1.0, 2.0), strict=True):
        assert closed.empty()
        held.futures.pop(0).set_result([(expected,)])
        assert future.result(10) == [(expected,)]
    assert closed.get(timeout=10) == "forget large"
    assert loaded(pool) == ["plain"]


def test_what_fails_to_close_does_not_keep_the_model(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The other caches and the model are closed, and the failure is logged."""

    def fail(_: CachedScorer) -> None:
        raise OSError("it hangs on")

    monkeypatch.setattr(CachedScorer, "close", fail)
    shelf = Shelf()
    pool = ModelPool(ModelTable(ALL), opener=shelf)
    for name in ("small", "large"):
        ask(pool, name)
    pool.close()
    assert shelf.opened[0].closed.wait(10)
    until(lambda: caplog.text.count("OSError: it hangs on") == 2)


def test_a_name_that_stays_keeps_its_scores_when_others_go() -> None:
    """A reload of the configuration forgets no scores of pipelines that it does not change."""
    shelf = Shelf()
    pool = ModelPool(ModelTable(ALL), opener=shelf)
    ask(pool, "large")
    ask(pool, "small")
    pool.update(ModelTable([served("other", "n"), ALL[2]]))
    ask(pool, "large")
    assert shelf.opened[0].asked == ["p", "p"]
