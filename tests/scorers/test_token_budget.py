"""How many tokens a batch on a CPU has: measured once, in little time, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.scorers.family import Family
from rebridge.scorers.measurements import keep
from rebridge.scorers.streams import Streams
from rebridge.scorers.token_budget import CPU_BUDGET, budget_key, kept_budget, tuned_budget
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rebridge.steps import Windows


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder of caches for these tests alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_cache_path", lambda name: folder / name)
        yield


class Model(Family[Any]):
    """Takes as long as it is told, by a clock of its own.

    Args:
        seconds: of a batch, by its tokens.
        length: tokens of a row.
    """

    def __init__(self, seconds: Callable[[int], float], length: int = 128, *, heavy: bool = False) -> None:
        self.now = 0.0
        self.batches: list[int] = []
        self._seconds, self._length, self._heavy = seconds, length, heavy

    def memory_bytes(self) -> int:
        return 2**31 if self._heavy else 2**20

    def cut(self, passage: str, windows: Windows) -> list[str]:
        return [passage]

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        return [Tokens(np.zeros(self._length, dtype=np.int32)) for _ in passages]

    def forward(self, batch: Sequence[Tokens]) -> list[Any]:
        tokens = sum(map(len, batch))
        self.batches.append(tokens)
        self.now += self._seconds(tokens)
        return [0.0] * len(batch)

    def finish(self, query: Any, passage: Any) -> float:
        return 0.0

    def tuned(self, key: str) -> int:
        return tuned_budget(self, key, clock=lambda: self.now)


def test_each_stream_has_room_for_a_long_input() -> None:
    """Of a model with streams no budget is tried, or taken unmeasured, that would leave one without work."""
    model, heavy = Model(lambda tokens: tokens / 10_000, length=512), Model(lambda tokens: tokens / 10_000, heavy=True)
    model.streams = heavy.streams = Streams(4)
    assert model.tuned("streams") == 2048
    assert heavy.tuned("streams of a large one") == 2048


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(lambda tokens: tokens / 10_000, 256, id="no batch is faster than another"),
        pytest.param(lambda tokens: 0.02 + tokens / 20_000, 2048, id="every batch costs something"),
        pytest.param(lambda tokens: 0.0005 + tokens / 10_000, 256, id="nearly as fast is fast enough"),
        pytest.param(lambda tokens: tokens / 10_000 * (1.5 if tokens > 512 else 1), 256, id="large ones are slow"),
        pytest.param(lambda tokens: tokens / 10_000 * (1.5 if tokens < 512 else 1), 512, id="small ones are slow"),
    ],
)
def test_the_smallest_of_the_fast_ones(seconds: Callable[[int], float], expected: int) -> None:
    """Of the budgets that are nearly as fast as the best one the smallest is taken, since it holds up others least."""
    assert Model(seconds).tuned("smallest") == expected
    assert kept_budget("smallest") == expected


@given(st.floats(1e-7, 0.1), st.floats(0, 0.5), st.integers(1, 512))
def test_measuring_takes_a_second_at_most(per_token: float, per_batch: float, length: int) -> None:
    """However slow the model is, only its first row can take longer than that."""
    model = Model(lambda tokens: per_batch + per_token * tokens, length)
    assert model.tuned("time") in {256, 512, 1024, 2048}
    assert model.now <= max(1.0, per_batch + per_token * length) + per_batch + 1e-6
    assert all(tokens <= max(2048, length) for tokens in model.batches)


def test_no_time_is_spent_where_it_does_not_matter() -> None:
    """A tiny model runs two batches, a huge one none; neither is looked at again."""
    tiny, huge = Model(lambda tokens: tokens / 1e6), Model(lambda tokens: tokens, heavy=True)
    assert tiny.tuned("tiny") == CPU_BUDGET
    assert len(tiny.batches) == 2
    assert kept_budget("tiny") == CPU_BUDGET
    assert huge.tuned("huge") == CPU_BUDGET
    assert huge.batches == []
    assert kept_budget("huge") == CPU_BUDGET


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("broken")])
def test_a_model_that_fails_has_a_budget_all_the_same(error: Exception) -> None:
    """What is wrong with a model is told when it is asked for scores."""

    class Broken(Model):
        def forward(self, batch: Sequence[Tokens]) -> list[Any]:
            raise error

    assert Broken(float).tuned("broken") == CPU_BUDGET
    assert kept_budget("broken") is None


@pytest.mark.parametrize("value", ["512", 0, 7, True, None])
def test_an_impossible_budget_in_the_file_is_none(value: object) -> None:
    """Whatever stands in the file, the model is measured, and that is kept."""
    keep("k", value)
    assert kept_budget("k") is None
    assert Model(lambda tokens: tokens / 10_000).tuned("k") == 256
    assert kept_budget("k") == 256


def test_what_a_budget_depends_on() -> None:
    """Another shape, precision or code is measured for itself."""
    config = {"hidden_size": 16}
    keys = {
        budget_key(config, "float32", "auto"),
        budget_key({"hidden_size": 32}, "float32", "auto"),
        budget_key(config, "bfloat16", "auto"),
        budget_key(config, "float32", "transformers"),
    }
    assert budget_key(dict(config), "float32", "auto") in keys
    assert len(keys) == 4


def test_a_number_switches_it_off(
    cross_encoder: Path, open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gives a number gets it, and nothing is measured; else it is, once."""
    measured: list[str] = []

    def tuned(_family: Any, key: str) -> int:
        measured.append(key)
        return 512

    monkeypatch.setattr("rebridge.scorers.opening.tuned_budget", tuned)
    assert open_tiny(cross_encoder, token_budget=7).token_budget == 7
    assert measured == []
    assert open_tiny(cross_encoder).token_budget == 512
    assert len(measured) == 1
    monkeypatch.setattr("rebridge.scorers.placing.kept_budget", lambda key: 256 if key == measured[0] else None)
    assert open_tiny(cross_encoder).token_budget == 256
    assert len(measured) == 1
