"""A Redis that answers, but late, because others ask it too: it is busy, and not away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("redis", reason="this needs the extra: pip install 'rebridge[redis]'")

from rebridge.scorers.score_cache import shared
from rebridge.scorers.score_cache.shared import RedisScores

from .redis_server import Server, Slow, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    """A Redis whose answers can come late."""
    with Server(tmp_path) as store, Slow(store) as server:
        yield server


def known(scores: RedisScores, key: bytes) -> bool:
    """Whether a search finds these scores."""
    return key in scores.known([key]).result(10)


@pytest.fixture
def scores(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisScores]:
    """Scores in a Redis behind which a search waits for 0.3 s."""
    monkeypatch.setattr(shared, "_PATIENCE_S", 0.3)
    opened = RedisScores(slow.url, "the place", 60)

    def connected() -> bool:
        opened.keep({b"a": (1.0,)})
        return known(opened, b"a")

    until(connected)
    yield opened
    opened.close()


def test_a_burst_is_no_failure(slow: Slow, scores: RedisScores, caplog: pytest.LogCaptureFixture) -> None:
    """Of many searches at once, those whose turn does not come go on without; Redis answers, and stays in use."""
    slow.delay_s = 0.05
    began = time.monotonic()
    found = [future.result(10) for future in [scores.known([b"a"]) for _ in range(30)]]
    assert time.monotonic() - began < 1.5
    assert found[0] == {b"a": (1.0,)}
    assert found[-1] == {}
    assert known(scores, b"a")
    assert caplog.text == ""


def test_keeping_may_take_longer(slow: Slow, scores: RedisScores, caplog: pytest.LogCaptureFixture) -> None:
    """Scores that Redis takes longer to keep than a search would wait are kept, and it stays in use."""
    slow.delay_s = 0.5
    scores.keep({b"b": (2.0,)})
    time.sleep(0.4)
    slow.delay_s = 0.0
    until(lambda: known(scores, b"b"))
    assert caplog.text == ""
