"""Remote scorers and time: deadlines, waiting as the peer asks, and leaving alone a peer that is ill."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from rebridge.drivers import run
from rebridge.errors import DeadlineExceeded
from rebridge.scorers.remote import RemoteScorer
from rebridge.scorers.remote.breaker import FAILURES
from rebridge.scorers.remote.failures import RemoteError, retry_after
from rebridge.steps import Score

from .peers import RIGHT, TEXTS, Handler, Open, StandIn, always, answering, dripping, failing, first, serving, stalling


class TestTime:
    @pytest.mark.parametrize("fault", [stalling(1.0), dripping], ids=["stalls", "drips"])
    def test_deadline(self, fault: Callable[[Handler], Any], ask: Open) -> None:
        """The deadline holds against a peer that says nothing, and against one that never ends."""
        with serving(StandIn(fault=always(fault))) as peer:
            began = time.monotonic()
            assert isinstance(failing(ask(peer), deadline=0.1), DeadlineExceeded)
            assert time.monotonic() - began < 0.5

    def test_own_limit(self, ask: Open) -> None:
        """A peer that takes longer than timeout_s fails, and others can be asked before the deadline."""
        with serving(StandIn(fault=always(stalling(1.0)))) as peer:
            error = failing(ask(peer, timeout_s=0.1), deadline=5)
            assert not isinstance(error, DeadlineExceeded)
            assert "no answer within" in str(error)

    def test_passed_already(self, ask: Open) -> None:
        """What nobody waits for any more is not sent."""
        with serving(StandIn()) as peer:
            assert isinstance(failing(ask(peer), deadline=-1), DeadlineExceeded)
            assert peer.asked == []

    def test_told_by_the_peer(self, ask: Open) -> None:
        """A rebridge that gives up because of the deadline says so, and is heard."""
        late = answering(504, {"error": {"reason": "deadline", "message": "too late"}})
        with serving(StandIn(fault=always(late))) as peer:
            assert isinstance(failing(ask(peer), deadline=5), DeadlineExceeded)

    def test_waits_as_asked(self, ask: Open) -> None:
        """A busy peer is asked again when it said, not before."""
        with serving(StandIn(fault=first(1, answering(429, {}, Retry_After="1")))) as peer:
            began = time.monotonic()
            assert ask(peer).raw_scores("the query", TEXTS) == RIGHT
            assert 1.0 <= time.monotonic() - began < 1.5

    def test_does_not_wait_in_vain(self, ask: Open) -> None:
        """A peer that asks to wait longer than there is time fails at once."""
        with serving(StandIn(fault=always(answering(429, {}, Retry_After="30")))) as peer:
            began = time.monotonic()
            error = failing(ask(peer), deadline=5)
            assert time.monotonic() - began < 0.5
            assert "asks to wait 30 s" in str(error)
            assert error.reason == "busy"

    def test_the_first_failure_ends_the_rest(self, ask: Open) -> None:
        """When one batch cannot be had, the others are not waited for."""
        with serving(
            StandIn(fault=lambda handler, number: (stalling(2.0) if number else answering(500, {}))(handler) or True)
        ) as peer:
            began = time.monotonic()
            failing(ask(peer, batch_size=1))
            assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("3", 3.0), ("0.5", 0.5), (None, None), ("soon", None), ("", None), ("-1", None), ("9" * 400, None)),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Retry-After counts in seconds; what cannot be understood says nothing."""
    assert retry_after(value) == seconds


def test_retry_after_a_date() -> None:
    """Retry-After may be a date, too; one that has passed means now."""
    now = datetime.now(UTC)
    assert retry_after(format_datetime(now + timedelta(seconds=60), usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after(format_datetime(now - timedelta(seconds=60), usegmt=True)) == 0.0


class TestBreaker:
    def opened(self, peer: StandIn, scorer: RemoteScorer) -> int:
        """Fail until the breaker opens; how many requests that took."""
        while "left alone" not in str(failing(scorer)):
            assert len(peer.asked) < 30
        return len(peer.asked)

    @pytest.mark.parametrize("fault", [answering(500, {}), answering(200, b"junk"), Handler.reset])
    def test_opens_and_closes(self, fault: Callable[[Handler], Any], ask: Open) -> None:
        """A peer that fails again and again is left alone for a while, and asked again after it."""
        with serving(StandIn(fault=always(fault))) as peer:
            scorer = ask(peer, recheck_s=0.3)
            assert self.opened(peer, scorer) == FAILURES
            began, error = time.monotonic(), failing(scorer)
            assert time.monotonic() - began < 0.1
            assert error.reason == "circuit_open"
            assert len(peer.asked) == FAILURES
            peer.fault = first(0, fault)
            time.sleep(0.3)
            assert scorer.raw_scores("the query", TEXTS) == RIGHT
            assert scorer.raw_scores("the query", TEXTS) == RIGHT

    def test_opens_again(self, ask: Open) -> None:
        """A peer that is still ill after the pause is left alone again after one request."""
        with serving(StandIn(fault=always(answering(500, {})))) as peer:
            scorer = ask(peer, recheck_s=0.2)
            count = self.opened(peer, scorer)
            time.sleep(0.2)
            assert self.opened(peer, scorer) == count + 1

    def test_a_hanging_peer(self, ask: Open) -> None:
        """A peer that does not answer is left alone too, though searches give up before it fails."""
        with serving(StandIn(fault=always(stalling(0.5)))) as peer:
            scorer = ask(peer)
            for _ in range(FAILURES):
                with pytest.raises(DeadlineExceeded):
                    run(story(time.monotonic() + 0.12), lambda _: None, scorer)
            with pytest.raises(RemoteError, match="left alone"):
                run(story(time.monotonic() + 5), lambda _: None, scorer)

    def test_a_slow_process_of_our_own(self, tmp_path: Path) -> None:
        """Deadlines that pass behind a Unix socket say nothing: whoever started that process watches it."""
        fault = always(stalling(0.5))
        with (
            serving(StandIn(fault=fault), tmp_path / "s") as peer,
            RemoteScorer(peer.url, uds=str(tmp_path / "s")) as scorer,
        ):
            for _ in range(FAILURES + 1):
                with pytest.raises(DeadlineExceeded):
                    run(story(time.monotonic() + 0.12), lambda _: None, scorer)

    @pytest.mark.parametrize("status", [400, 401, 404, 429])
    def test_a_peer_that_answers_is_well(self, status: int, ask: Open) -> None:
        """Requests that the peer refuses say nothing against the peer."""
        with serving(StandIn(fault=always(answering(status, {}, Retry_After="60")))) as peer:
            scorer = ask(peer, timeout_s=1.0)
            assert all("left alone" not in str(failing(scorer)) for _ in range(2 * FAILURES))

    def test_cancelling_says_nothing(self, ask: Open) -> None:
        """Requests that are cancelled, along with a failed one or by who asked, leave the breaker as it is."""
        with serving(StandIn(fault=always(answering(500, {})))) as peer:
            scorer = ask(peer, batch_size=1, connections=2)
            assert self.opened(peer, scorer) <= 2 * FAILURES

    def test_hurried_requests_say_nothing(self, ask: Open) -> None:
        """A peer that is given hardly any time is not left alone for that."""
        with serving(StandIn(fault=always(stalling(0.06)))) as peer:
            scorer = ask(peer)
            for _ in range(2 * FAILURES):
                failing(scorer, deadline=0.02)
            peer.fault = first(0, stalling(0))
            assert scorer.raw_scores("the query", TEXTS) == RIGHT

    def test_a_clock_that_is_set_back(self, ask: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """The pause is over in time, whatever happens to the wall clock."""
        with serving(StandIn(fault=always(answering(500, {})))) as peer:
            scorer = ask(peer, recheck_s=0.2)
            self.opened(peer, scorer)
            peer.fault = first(0, stalling(0))

            class Back(datetime):
                @classmethod
                def now(cls, tz: Any = None) -> datetime:
                    return datetime.now(tz) - timedelta(hours=1)

            monkeypatch.setattr("pybreaker.datetime", Back)
            monkeypatch.setattr("rebridge.scorers.remote.breaker.datetime", Back)
            time.sleep(0.25)
            assert scorer.raw_scores("the query", TEXTS) == RIGHT


def story(deadline: float) -> Any:
    answer = yield Score("the query", tuple(TEXTS), None, deadline)
    return answer
