"""Kept scores are those that the model would give, and nothing else is kept."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.config import ScorerSection
from rebridge.errors import DeadlineExceeded, NoScores, ScorerError
from rebridge.scorers.base import Scorer
from rebridge.scorers.score_cache import CachedScorer, MemoryScores
from rebridge.scorers.sections import open_section
from rebridge.steps import Windows
from rebridge.testing import FakeScorer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NARROW, WIDE = Windows(2, 1, limit=4), Windows(3, 3, limit=2)


def by_text(query: str, passage: str) -> float:
    return len(query) * 1000 + len(passage) + sum(map(ord, passage)) / 1e6


def cached(scorer: Scorer, size: int = 1000, key: str = "model", memory: MemoryScores | None = None) -> CachedScorer:
    return CachedScorer(scorer, key, MemoryScores(size, ttl_s=60) if memory is None else memory)


class Layered(FakeScorer):
    """Has three layers."""

    layers = 3

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[list[tuple[float, ...]]]:
        future: Future[list[tuple[float, ...]]] = Future()
        self.calls.append((query, tuple(passages)))
        future.set_result([tuple(by_text(query, passage) + layer for layer in range(3)) for passage in passages])
        return future


class Waiting(Scorer):
    """Answers when a test says so, and notes what it was asked."""

    name = "waiting"

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], Windows | None, float | None]] = []
        self.futures: list[Future[list[tuple[float, ...]]]] = []

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[tuple[float, ...]]]:
        self.asked.append((tuple(passages), windows, deadline))
        self.futures.append(Future())
        return self.futures[-1]


calls = st.lists(
    st.tuples(
        st.sampled_from(["", "q", "other query", "\ud800"]),
        st.lists(st.sampled_from(["", "a", "a b c", "b a", "\ud800", "a b c d e f"]), max_size=8),
        st.sampled_from([None, NARROW, WIDE]),
    ),
    max_size=8,
)


@given(calls)
def test_any_mix_of_known_and_new_passages(asked: list[tuple[str, list[str], Windows | None]]) -> None:
    """Scores are the model's own, in order; it is asked once, for each new passage once, and for nothing else."""
    plain, model = FakeScorer(by_text), FakeScorer(by_text)
    scorer = cached(model)
    seen: set[Any] = set()
    for query, passages, windows in asked:
        before = len(model.calls)
        rows = scorer.submit(query, passages, windows=windows).result()
        assert rows == plain.submit(query, passages, windows=windows).result()
        new = tuple(dict.fromkeys(text for text in passages if (query, text, windows) not in seen))
        assert model.calls[before:] == ([(query, new)] if new else [])
        seen |= {(query, text, windows) for text in passages}
    assert scorer.counts().score_misses == len(seen)
    assert scorer.counts().score_hits == sum(len(passages) for _, passages, _ in asked) - len(seen)


def test_one_text_is_no_list_of_passages() -> None:
    """The mistake of giving one text is found though its characters could be looked up."""
    with pytest.raises(ScorerError, match="must be a list"):
        cached(FakeScorer()).submit("q", "text")


@given(st.lists(st.integers(0, 30), max_size=100), st.integers(1, 10))
def test_no_more_than_its_size_is_kept(numbers: list[int], size: int) -> None:
    """There are never more entries than the size says, and the one that was used last is always there."""
    memory, model = MemoryScores(size, ttl_s=60), FakeScorer(by_text)
    scorer = cached(model, memory=memory)
    for number in numbers:
        scorer.submit("q", [str(number)]).result()
        assert len(memory) <= size
        before = len(model.calls)
        scorer.submit("q", [str(number)]).result()
        assert len(model.calls) == before


def test_least_recently_used_goes_first() -> None:
    """With room for two, using the first makes the second go."""
    model = FakeScorer()
    scorer = cached(model, size=2)
    for passage in ("a", "b", "a", "c", "a", "b"):
        scorer.submit("q", [passage]).result()
    assert [passages for _, passages in model.calls] == [("a",), ("b",), ("c",), ("b",)]


def test_scores_are_forgotten_after_a_while() -> None:
    """However often a score is used, it is asked for again when its time has passed."""
    now = [0.0]
    model = FakeScorer()
    scorer = cached(model, memory=MemoryScores(10, ttl_s=10, clock=lambda: now[0]))
    for now[0] in (0.0, 5.0, 9.9, 10.0, 19.0, 25.0):
        scorer.submit("q", ["a"]).result()
    assert len(model.calls) == 3


def test_what_is_no_score_is_not_kept() -> None:
    """A passage without a finite score is asked for each time, and the others are not."""
    model = FakeScorer(lambda _, passage: math.nan if passage == "odd" else 1.0)
    scorer = cached(model)
    for _ in range(2):
        rows = scorer.submit("q", ["a", "odd"]).result()
        assert rows[0] == (1.0,)
        assert math.isnan(rows[1][0])
    assert [passages for _, passages in model.calls] == [("a", "odd"), ("odd",)]


def test_a_passage_without_a_score_costs_no_other() -> None:
    """A model that fails when it finds no score at all does not cost those that are known."""
    model = Waiting()
    scorer = cached(model)
    first = scorer.submit("q", ["a"])
    model.futures[0].set_result([(1.0,)])
    assert first.result() == [(1.0,)]
    second, alone = scorer.submit("q", ["odd", "a"]), scorer.submit("q", ["odd"])
    for future in model.futures[1:]:
        future.set_exception(NoScores("no finite score for any of 1 passages"))
    odd, known = second.result()
    assert math.isnan(odd[0])
    assert known == (1.0,)
    with pytest.raises(NoScores):
        alone.result()


@pytest.mark.parametrize("error", [ScorerError("broken"), DeadlineExceeded("late"), ValueError("odd")])
def test_a_failure_is_the_callers_and_is_not_kept(error: Exception) -> None:
    """What fails fails as without a cache, whatever is known, and is asked for again."""
    model = Waiting()
    scorer = cached(model)
    scorer.submit("q", ["known"])
    model.futures[0].set_result([(1.0,)])
    failed = scorer.submit("q", ["known", "new"])
    model.futures[1].set_exception(error)
    with pytest.raises(type(error)) as caught:
        failed.result()
    assert caught.value is error
    again = scorer.submit("q", ["known", "new"])
    model.futures[2].set_result([(2.0,)])
    assert again.result() == [(1.0,), (2.0,)]


def test_a_wrong_number_of_scores_is_an_error() -> None:
    """Scores that cannot be told apart are given to nobody and not kept."""
    model = Waiting()
    scorer = cached(model)
    future = scorer.submit("q", ["a", "b"])
    model.futures[0].set_result([(1.0,)])
    with pytest.raises(ScorerError, match="1 scores for 2 passages"):
        future.result()
    scorer.submit("q", ["a"])
    assert len(model.asked) == 2


def test_windows_and_deadline_reach_the_model() -> None:
    """What is not known is asked for as the caller says."""
    model = Waiting()
    cached(model).submit("q", ["a"], windows=NARROW, deadline=12.5)
    assert model.asked == [(("a",), NARROW, 12.5)]


def test_cancelling_cancels_the_model() -> None:
    """Who gives up a search ends the model's work for it."""
    model = Waiting()
    future = cached(model).submit("q", ["a"])
    assert future.cancel()
    assert model.futures[0].cancelled()


def test_what_the_model_gives_up_is_given_up() -> None:
    """Work that the model cancels is cancelled for the caller, who need not wait."""
    model = Waiting()
    future = cached(model).submit("q", ["a"])
    model.futures[0].cancel()
    assert future.cancelled()


def test_models_never_share() -> None:
    """In the same memory, what one model gave is nothing to another."""
    memory = MemoryScores(10, ttl_s=60)
    one, two = FakeScorer(default=1.0), FakeScorer(default=2.0)
    assert cached(one, key="one", memory=memory).submit("q", ["a"]).result() == [(1.0,)]
    assert cached(two, key="two", memory=memory).submit("q", ["a"]).result() == [(2.0,)]


def test_layers_have_scores_of_their_own() -> None:
    """The scores after each layer are kept apart from those of the last one."""
    model = Layered(by_text)
    scorer = cached(model)
    for _ in range(2):
        assert scorer.submit("q", ["a"]).result() == [(by_text("q", "a"),)]
        assert scorer.raw_scores("q", ["a"]) == [[by_text("q", "a") + layer for layer in range(3)]]
    assert len(model.calls) == 2


def test_many_threads() -> None:
    """Threads that ask for the same passages all get the right scores, and every passage is counted."""
    scorer = cached(FakeScorer(by_text), size=20)
    barrier = threading.Barrier(6)

    def work(seed: int) -> bool:
        barrier.wait(10)
        right = True
        for number in range(150):
            texts = [str((number * seed + more) % 37) for more in range(5)]
            right &= scorer.submit("q", texts).result() == [(by_text("q", text),) for text in texts]
        return right

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, (1, 2, 3, 5, 7, 11)))
    assert scorer.counts().score_hits + scorer.counts().score_misses == 6 * 150 * 5


def test_closing_closes_the_model() -> None:
    """The model goes with its cache."""
    closed: list[bool] = []

    class Closing(FakeScorer):
        def close(self) -> None:
            closed.append(True)

    with cached(Closing()):
        pass
    assert closed == [True]


def test_a_pipelines_model(cross_encoder: Path) -> None:
    """A section with a cache has the scores of one without, and computes each only once."""
    passages = ["red shoes", "a boat on the river", "red shoes"]
    section = ScorerSection(model=str(cross_encoder), device="cpu")
    with open_section(section) as plain:
        expected = plain.score("shoes", passages)
    with open_section(ScorerSection(**section.model_dump(exclude_unset=True), score_cache={"size": 10})) as scorer:
        assert scorer.score("shoes", passages) == pytest.approx(expected, abs=1e-6)
        computed = scorer.counts().inputs
        assert scorer.score("shoes", passages[::-1]) == pytest.approx(expected[::-1], abs=1e-6)
        assert (scorer.counts().inputs, computed) == (2, 2)
        assert (scorer.counts().score_hits, scorer.counts().score_misses) == (4, 2)
        assert (scorer.activation, scorer.memory_bytes() > 0, scorer.busy_since()) == (plain.activation, True, None)
        reading = scorer.reading("shoes", "red shoes")
        assert reading is not None
        assert reading.unread == 0
        late = scorer.submit("shoes", ["new"], deadline=time.monotonic() - 1)
        with pytest.raises(DeadlineExceeded):
            late.result(10)
