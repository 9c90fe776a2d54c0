"""Models on one device compute one batch at a time, in turns."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rebridge.errors import ScorerError
from rebridge.scorers.family import Family
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.tokens import Tokens
from rebridge.scorers.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rebridge.steps import Windows

WAIT = 20


class Device:
    """Notes which model computes, and whether two ever do at the same time."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.together = False
        self.free = threading.Lock()


class Model(Family[Any]):
    """One token per passage, and a moment for each batch."""

    def __init__(self, name: str, device: Device) -> None:
        self.name, self.device = name, device
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def cut(self, passage: str, windows: Windows) -> list[str]:
        return [passage]

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        return [Tokens(np.zeros(1, dtype=np.int32)) for _ in passages]

    def forward(self, batch: Sequence[Tokens]) -> list[Any]:
        self.device.together |= not self.device.free.acquire(blocking=False)
        self.device.order.append(self.name)
        self.entered.set()
        assert self.go_on.wait(WAIT)
        time.sleep(0.002)
        self.device.free.release()
        if self.name == "broken":
            raise RuntimeError("broken")
        return [0.0] * len(batch)

    def finish(self, query: Any, passage: Any) -> float:
        return float(passage)


def stands_in_line(turns: Turns, count: int) -> None:
    """Wait until so many wait for their turn."""
    end = time.monotonic() + WAIT
    while len(turns._waiting) < count:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_search_waits_for_one_batch_of_the_other_model() -> None:
    """A small search of one model goes between two batches of a large one of another, and they never overlap."""
    device, turns = Device(), Turns()
    large, small = Model("large", device), Model("small", device)
    large.go_on.clear()
    with LocalScorer("large", large, 1, turns) as first, LocalScorer("small", small, 1, turns) as second:
        whole = first.submit("q", ["p"] * 20)
        assert large.entered.wait(WAIT)
        quick = second.submit("q", ["p"])
        stands_in_line(turns, 1)
        assert second.busy_since() is None
        assert first.busy_since() is not None
        large.go_on.set()
        assert quick.result(WAIT) == [(0.0,)]
        assert whole.result(WAIT) == [(0.0,)] * 20
    assert device.order.index("small") == 1
    assert not device.together


def test_a_model_that_fails_hands_its_turn_on() -> None:
    """Whatever happens in a batch, the next one comes."""
    device, turns = Device(), Turns()
    with (
        LocalScorer("broken", Model("broken", device), 1, turns) as broken,
        LocalScorer("sound", Model("sound", device), 1, turns) as sound,
    ):
        futures = [(broken.submit("q", ["p"]), sound.submit("q", ["p"])) for _ in range(5)]
        for failing, right in futures:
            with pytest.raises(ScorerError, match="broken"):
                failing.result(WAIT)
            assert right.result(WAIT) == [(0.0,)]


def test_first_come_first_served() -> None:
    """Whoever waits longest is next, also where somebody comes back at once."""
    turns, order = Turns(), []

    def work(number: int) -> None:
        with turns:
            order.append(number)

    threads = []
    with turns:
        for number in range(8):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            stands_in_line(turns, number + 1)
    with turns:
        order.append(8)
    for thread in threads:
        thread.join(WAIT)
    assert order == list(range(9))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking a process with threads, which is the point
def test_a_fork_within_a_turn() -> None:
    """In the child of a fork a turn that was taken is free again, for those who held the turns before."""
    turns = Turns()
    with turns:
        child = os.fork()
        if not child:
            with turns:
                os._exit(0)
    end = time.monotonic() + WAIT
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    assert ended[1] == 0


def test_models_of_one_process_share_the_cpu(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Opened models wait for each other on the CPU."""
    one, other = open_tiny(cross_encoder, token_budget=64), open_tiny(cross_encoder, token_budget=64)
    computing, most = [0], [0]
    for scorer in (one, other):
        scorer.family.forward = _counted(scorer.family.forward, computing, most)
    futures = [scorer.submit("red", ["red shoes and a boat"] * 50) for scorer in (one, other)]
    assert [len(future.result(WAIT)) for future in futures] == [50, 50]
    assert most == [1]


def _counted(forward: Callable[[Any], Any], computing: list[int], most: list[int]) -> Callable[[Any], Any]:
    def counted(batch: Any) -> Any:
        computing[0] += 1
        most[0] = max(most[0], computing[0])
        time.sleep(0.001)
        try:
            return forward(batch)
        finally:
            computing[0] -= 1

    return counted
