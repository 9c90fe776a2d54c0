"""A query alone is computed by one processor where all are no faster: measured once, in little time, and kept."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rebridge.scorers.family import Family
from rebridge.scorers.few_tokens import FEW_TOKENS, few_tokens
from rebridge.scorers.streams import Streams
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rebridge.steps import Windows


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of caches for each test."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)


class Model(Family[Any]):
    """Takes as long as it is told, by a clock of its own.

    Args:
        shared: seconds of a batch that all processors share.
        alone: of one that one of them computes.
        queries: whether it reads queries apart.
    """

    def __init__(self, shared: float, alone: float, *, queries: bool = True) -> None:
        self.now = 0.0
        self.threads: list[str] = []
        self.streams = Streams(2)
        self._shared, self._alone, self._queries = shared, alone, queries

    def cut(self, passage: str, windows: Windows) -> list[str]:
        return [passage]

    def encode_query(self, query: str) -> Tokens | None:
        return Tokens(np.zeros(15, dtype=np.int32)) if self._queries else None

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        return [Tokens(np.zeros(100, dtype=np.int32)) for _ in passages]

    def forward(self, batch: Sequence[Tokens]) -> list[Any]:
        self.threads.append(threading.current_thread().name)
        self.now += self._alone if self.threads[-1] == "rebridge-stream" else self._shared
        return [0.0] * len(batch)

    def finish(self, query: Any, passage: Any) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def measured(self, name: str = "a model") -> int:
        return few_tokens(self, {"name": name}, "float32", clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize(
    ("shared", "alone", "expected"), [(0.02, 0.01, FEW_TOKENS), (0.01, 0.012, 0), (0.01, 0.01, FEW_TOKENS)]
)
def test_the_faster_way_is_taken_and_kept(shared: float, alone: float, expected: int) -> None:
    """One processor is enough where all are hardly faster. It is measured once for models of a shape."""
    assert Model(shared, alone).measured() == expected
    same, other = Model(alone, shared), Model(shared, alone)
    assert same.measured() == expected
    assert same.threads == []
    assert other.measured("another") == expected
    assert other.threads


def test_measuring_takes_little_time() -> None:
    """A large model is read four times, a small one for less than half a second."""
    large, small = Model(2.0, 3.0), Model(0.01, 0.01)
    assert large.measured("large") == 0
    assert len(large.threads) == 4
    small.measured("small")
    assert small.now < 0.5


@pytest.mark.parametrize("queries", [True, False])
def test_nothing_is_measured_where_nothing_can_be_chosen(queries: bool) -> None:  # noqa: FBT001
    """A model without streams, or one that reads no query apart, is left as it is."""
    model = Model(0.02, 0.01, queries=queries)
    if queries:
        model.streams = None
    assert model.measured() == 0
    assert model.threads == []


def test_a_model_that_fails_is_shared() -> None:
    """What is wrong with it is told when it is asked for scores, and it is measured again another time."""

    class Broken(Model):
        def forward(self, batch: Sequence[Tokens]) -> list[Any]:
            raise RuntimeError("broken")

    assert Broken(0.02, 0.01).measured() == 0
    assert Model(0.02, 0.01).measured() == FEW_TOKENS


@pytest.mark.parametrize(("few", "expected"), [(FEW_TOKENS, "rebridge-stream"), (0, "MainThread")])
def test_a_query_is_computed_as_was_measured(few: int, expected: str) -> None:
    """Up to so many tokens one processor computes a batch; of more, or where that is not faster, all do."""
    model = Model(0.02, 0.01)
    model.few_tokens = few
    inputs = [Tokens(np.zeros(length, dtype=np.int32)) for length in (FEW_TOKENS, FEW_TOKENS + 1)]
    for tokens in inputs:
        assert model.run([tokens]) == [0.0]
    assert model.threads == [expected, "MainThread"]


def test_a_model_is_measured_when_it_is_opened(
    bi_encoder: Path, open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured is what it does, and its scores do not depend on it."""
    scores = []
    for few in (0, FEW_TOKENS):
        monkeypatch.setattr("rebridge.scorers.opening.few_tokens", lambda *_, few=few: few)
        scorer = open_tiny(bi_encoder)
        assert scorer.family.few_tokens == few
        scores.append(scorer.raw_scores("red shoes", ["red running shoes", "water power"]))
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
