"""bce-reranker: windows of long passages take turns with other work, and passages without words have no score."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import DeadlineExceeded
from rebridge.scorers import open_scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = Path(__file__).parents[1] / "fixtures" / "models" / "bce"
WAIT = 20
BUDGET = 1024
LONG = "red planet mars " * 2000


@pytest.fixture
def scorer() -> Iterator[Any]:
    """A scorer whose batches have room for two windows; ``batches`` notes (inputs, longest), ``memory`` is a limit."""
    with open_scorer(MODEL, recipe="bce-reranker", device="cpu", dtype="float32", token_budget=BUDGET) as opened:
        spied: Any = opened
        run = spied.family.forward
        spied.batches = []
        spied.memory = math.inf
        spied.during = lambda: None

        def forward(batch: Any) -> Any:
            spied.batches.append((len(batch), max(map(len, batch))))
            spied.during()
            if len(batch) > spied.memory:
                raise MemoryError
            return run(batch)

        spied.family.forward = forward
        yield spied


def test_windows_keep_the_budget(scorer: Any) -> None:
    """The windows of one passage go through the model in batches of the budget."""
    scorer.score("red planet", [LONG])
    assert len(scorer.batches) > 5
    assert all(count * longest <= BUDGET for count, longest in scorer.batches)


def test_windows_are_split_when_memory_is_short(scorer: Any) -> None:
    """A passage whose windows do not fit into memory together has the same score, from smaller batches."""
    expected = scorer.score("red planet", [LONG])
    scorer.memory = 1
    assert scorer.score("red planet", [LONG]) == pytest.approx(expected, abs=1e-6)


def _when(scorer: Any, batch: int, action: Callable[[], object]) -> None:
    """Do something while a batch is computed."""
    scorer.during = lambda: action() if len(scorer.batches) == batch else None


def test_deadline_between_windows(scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that passes amid a long passage ends it there."""
    now = [time.monotonic()]
    monkeypatch.setattr("rebridge.scorers.jobs.time.monotonic", lambda: now[0])
    _when(scorer, 2, lambda: now.__setitem__(0, now[0] + 100))
    with pytest.raises(DeadlineExceeded, match="0 scores for 1 passages"):
        scorer.submit("red planet", [LONG], deadline=now[0] + 50).result(WAIT)
    assert len(scorer.batches) == 2


def test_cancelling_between_windows(scorer: Any) -> None:
    """Cancelling amid a long passage ends it there."""
    entered, cancelled = threading.Event(), threading.Event()
    _when(scorer, 2, lambda: entered.set() or cancelled.wait(WAIT))
    future = scorer.submit("red planet", [LONG])
    assert entered.wait(WAIT)
    assert future.cancel()
    cancelled.set()
    assert wait([future], WAIT).done
    assert len(scorer.batches) == 2


def test_small_job_overtakes_a_long_passage(scorer: Any) -> None:
    """A search that comes amid a long passage waits for a batch or two, not for all windows."""
    small: list[Any] = []
    answered: list[int] = []

    def submit() -> None:
        small.append(scorer.submit("red", ["mars"]))
        small[0].add_done_callback(lambda _: answered.append(len(scorer.batches)))

    _when(scorer, 1, submit)
    scorer.submit("red planet", [LONG]).result(WAIT)
    assert small[0].result(WAIT)
    assert answered[0] <= 3
    assert len(scorer.batches) > 5


def test_passages_without_words(scorer: Any) -> None:
    """Such a passage is no number among those of a search, whose scale it would ruin; its official score is 0."""
    blank, mars, other = (row[0] for row in scorer.submit("red", ["\u200b", "mars", " \n"]).result(WAIT))
    assert math.isnan(blank)
    assert math.isnan(other)
    assert math.isfinite(mars)
    assert scorer.score("red", ["\u200b", "mars"]) == [0.0, pytest.approx(1 / (1 + math.exp(-mars)))]
    assert scorer.raw_scores("red", ["", "mars"]) == [-math.inf, pytest.approx(mars)]


def test_only_passages_without_words(scorer: Any) -> None:
    """Nothing to read at all is not a failure of the model, which does not run."""
    assert scorer.score("red", ["", " "]) == [0.0, 0.0]
    assert scorer.batches == []
