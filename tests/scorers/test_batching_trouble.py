"""The worker when things go wrong: panics, memory that comes back, passages in parts or blank, scorers left behind."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rebridge.errors import ScorerError
from rebridge.scorers.family import Family
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WAIT = 20


class Panic(BaseException):
    """As a library in Rust raises it."""


class Letters(Family[float]):
    """One token per letter; the score is the highest letter. ``panics`` names the method that fails for an ``!``."""

    def __init__(self, *, panics: str = "", part: int = 0, most: int = 10**9) -> None:
        self.activation = "sigmoid"
        self.panics = panics
        self.part = part
        self.most = most
        self.batches: list[int] = []

    def _maybe(self, method: str, text: Any) -> None:
        if self.panics == method and ord("!") in text:
            raise Panic(method)

    cut = None  # type: ignore[assignment]

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        for passage in passages:
            self._maybe("encode", passage.encode())
        return [Tokens(np.frombuffer(passage.encode(), np.uint8).astype(np.int32)) for passage in passages]

    def split(self, tokens: Tokens) -> list[Tokens]:
        self._maybe("split", tokens.ids)
        if not self.part:
            return [tokens]
        return [Tokens(tokens.ids[start : start + self.part]) for start in range(0, len(tokens), self.part)]

    def join(self, outputs: Sequence[float]) -> float:
        return max(outputs)

    def forward(self, batch: Sequence[Tokens]) -> list[float]:
        for tokens in batch:
            self._maybe("forward", tokens.ids)
        size = len(batch) * max(map(len, batch))
        self.batches.append(size)
        if size > self.most:
            raise MemoryError
        return [float(tokens.ids.max()) for tokens in batch]

    def finish(self, query: float | None, passage: float) -> float:
        self._maybe("finish", [passage])
        return passage


@pytest.fixture
def make() -> Iterator[Callable[..., LocalScorer[float]]]:
    """(token budget, options of `Letters`) -> scorer; closed afterwards."""
    made: list[LocalScorer[float]] = []

    def build(budget: int = 100, **options: Any) -> LocalScorer[float]:
        made.append(LocalScorer("letters", Letters(**options), budget))
        return made[-1]

    yield build
    for scorer in made:
        scorer.close()


@pytest.mark.parametrize("method", ["encode", "split", "forward", "finish"])
def test_panic_fails_only_its_job(make: Callable[..., LocalScorer[float]], method: str) -> None:
    """What a library in Rust raises is no Exception; it fails its job all the same, and the worker goes on."""
    scorer = make(panics=method)
    with pytest.raises(ScorerError, match=f"Panic: {method}") as caught:
        scorer.submit("q", ["!"]).result(WAIT)
    assert isinstance(caught.value.__cause__, Panic)
    assert scorer.submit("q", ["a"]).result(WAIT) == [(97.0,)]
    assert not scorer._worker._jobs


def test_failing_callback(make: Callable[..., LocalScorer[float]], caplog: pytest.LogCaptureFixture) -> None:
    """A panic in what a caller hangs on a future neither ends the thread nor fails other jobs."""
    scorer = make()

    def panic(_: Any) -> None:
        raise Panic

    gate = threading.Event()
    encode = scorer.family.encode
    scorer.family.encode = lambda *texts: encode(*texts) if gate.wait(WAIT) else []  # type: ignore[method-assign]
    odd = scorer.submit("q", ["a"])
    odd.add_done_callback(panic)
    other = scorer.submit("q", ["b"])
    thread = scorer._worker._thread
    gate.set()
    assert (odd.result(WAIT), other.result(WAIT)) == ([(97.0,)], [(98.0,)])
    assert scorer.submit("q", ["c"]).result(WAIT)
    assert scorer._worker._thread is thread
    assert "what waits for a scorer failed" in caplog.text


def test_lost_passages_fail_the_job(make: Callable[..., LocalScorer[float]]) -> None:
    """A job that has nothing to run and is not done ends with an error instead of never."""
    scorer = make()
    scorer.submit("q", ["a"]).result(WAIT)
    scorer.family.split = lambda tokens: _Forgetful([tokens])  # type: ignore[method-assign]
    with pytest.raises(ScorerError, match="left passages without a score"):
        scorer.submit("q", ["a"]).result(WAIT)


class _Forgetful(list[Tokens]):
    """Claims to have an input and gives none."""

    def __iter__(self) -> Iterator[Tokens]:
        return iter(())


def test_budget_grows_back(make: Callable[..., LocalScorer[float]]) -> None:
    """Memory that ran out once may be free again: after some successes batches are as large as before."""
    scorer = make(100, most=20)
    family: Any = scorer.family
    assert len(scorer.submit("q", ["x" * 10] * 10).result(WAIT)) == 10
    family.most = 10**9
    family.batches.clear()
    scorer.submit("q", ["x" * 10] * 1500).result(WAIT)
    assert family.batches[0] <= 20
    assert family.batches[-2] == 100
    assert max(family.batches) == 100


def test_lasting_shortage_is_tried_ever_more_rarely(make: Callable[..., LocalScorer[float]]) -> None:
    """Where memory stays short, failing batches become rare."""
    scorer = make(100, most=20)
    family: Any = scorer.family
    scorer.submit("q", ["x" * 10] * 6000).result(WAIT)
    half = len(family.batches) // 2
    first, second = (sum(size > 20 for size in sizes) for sizes in (family.batches[:half], family.batches[half:]))
    assert second < first / 2
    assert second < half / 500


def test_parts_share_batches(make: Callable[..., LocalScorer[float]]) -> None:
    """A passage that is read in parts has the score of the joined parts, and each part counts for the budget."""
    scorer = make(20, part=4)
    family: Any = scorer.family
    passages = ["abcdefghijklmnopqrstuvwxyz" * 4, "zya", "bbbbbb", "c"]
    assert scorer.submit("q", passages).result(WAIT) == [(122.0,), (122.0,), (98.0,), (99.0,)]
    assert max(family.batches) <= 20


def test_blank_passages(make: Callable[..., LocalScorer[float]]) -> None:
    """A passage with nothing to read is NaN to a search, minus infinity as a raw score, 0 after a sigmoid."""
    scorer = make(part=4)
    (blank,), (one,) = scorer.submit("q", ["", "a"]).result(WAIT)
    assert math.isnan(blank)
    assert one == 97.0
    assert scorer.raw_scores("q", ["", "a"]) == [-math.inf, 97.0]
    assert scorer.score("q", ["", ""]) == [0.0, 0.0]
    assert all(math.isnan(score) for (score,) in scorer.submit("q", ["", ""]).result(WAIT))


def test_forgotten_scorer_frees_its_model(make: Callable[..., LocalScorer[float]]) -> None:
    """A scorer that nobody holds goes without `close`: its thread ends and its model is freed."""
    del make
    scorer = LocalScorer("letters", Letters(), 100)
    scorer.submit("q", ["a"]).result(WAIT)
    thread, family = scorer._worker._thread, weakref.ref(scorer.family)
    assert thread is not None
    del scorer
    gc.collect()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert family() is None


def test_forgotten_scorer_finishes() -> None:
    """What was asked of it before is still answered."""
    futures = [LocalScorer("letters", Letters(), 3).submit("q", ["a", "b"] * 50) for _ in range(3)]
    assert [future.result(WAIT) for future in futures] == [[(97.0,), (98.0,)] * 50] * 3


def test_one_text_is_no_list(make: Callable[..., LocalScorer[float]]) -> None:
    """A text in place of a list is refused wherever it comes in, since its characters would be scored."""
    scorer = make()
    for method in (scorer.submit, scorer.submit_layers, scorer.score, scorer.raw_scores):
        with pytest.raises(ScorerError, match=r"pass \[text\]"):
            method("q", "abc")
