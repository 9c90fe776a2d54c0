"""The worker's thread from its first job to the end, and what can be seen of it meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ScorerError

from .conftest import WAIT, Kept, busy

if TYPE_CHECKING:
    from collections.abc import Callable


def test_close(make: Callable[..., Any]) -> None:
    """Closing fails what waits, ends the thread, may be repeated, and refuses later work."""
    scorer, family = make()
    busy(scorer, family)
    waiting = scorer.submit("waiting", ["a"])
    thread = scorer._worker._thread
    closing = threading.Thread(target=scorer.close)
    closing.start()
    with pytest.raises(ScorerError, match="closed"):
        waiting.result(WAIT)
    family.gate.set()
    closing.join(WAIT)
    thread.join(WAIT)
    assert not thread.is_alive()
    scorer.close()
    with pytest.raises(ScorerError, match="is closed"):
        scorer.submit("late", ["a"]).result(WAIT)


def test_idle_scorer_has_no_thread(make: Callable[..., Any]) -> None:
    """The thread is started by the first job."""
    scorer, _ = make()
    assert scorer._worker._thread is None


def test_interpreter_ends_with_work_left() -> None:
    """A program that ends while passages wait exits by itself."""
    program = (
        "import time\n"
        "import numpy as np\n"
        "from rebridge.scorers.family import Family\n"
        "from rebridge.scorers.local import LocalScorer\n"
        "from rebridge.scorers.tokens import Tokens\n"
        "class Slow(Family):\n"
        "    cut = finish = None\n"
        "    def encode(self, query, passages): return [Tokens(np.zeros(9, np.int32)) for _ in passages]\n"
        "    def forward(self, batch): time.sleep(0.2); return [0.0] * len(batch)\n"
        "LocalScorer('slow', Slow(), 9).submit('q', ['a'] * 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=WAIT, capture_output=True, check=False)  # noqa: S603 - our own program
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_batch_that_takes_long_can_be_seen(make: Callable[..., Any]) -> None:
    """Since when the model has been at a batch is known as long as it is; an idle one is at none."""
    scorer, family = make(10)
    assert scorer.busy_since() is None
    before = time.monotonic()
    future = busy(scorer, family)
    assert before <= scorer.busy_since() <= time.monotonic()
    family.gate.set()
    future.result(WAIT)
    scorer.close()  # waits for the end of the batch
    assert scorer.busy_since() is None


def test_what_was_done_is_counted(make: Callable[..., Any]) -> None:
    """How full batches are, and how many passages had been seen before, can be told at any time."""
    scorer, family = make(10)
    family.store = Kept()
    scorer.submit("q", ["aaaa", "bbb"]).result(WAIT)
    assert (scorer.counts().batches, scorer.counts().inputs) == (1, 2)
    assert (scorer.counts().tokens, scorer.counts().room, scorer.counts().kept) == (7, 10, 0)
    scorer.submit("q", ["bbb", "aaaa"]).result(WAIT)
    assert (scorer.counts().batches, scorer.counts().kept) == (1, 2)
