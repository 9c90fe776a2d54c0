"""What remote scorers are told of queries before there are passages."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rebridge.errors import ScorerError

from .peers import Open, StandIn, answering, serving


def test_a_query_is_announced_to_a_model_that_reads_it_apart(ask: Open) -> None:
    """Only a rebridge is told of queries, and only once it has said that it helps. Nothing fails, whatever it says."""

    def apart(answer: Any) -> Any:
        return {**answer, "reads_queries": True} if isinstance(answer, dict) else answer

    for dialect, change, times in (("rebridge", apart, 1), ("rebridge", dict, 0), ("cohere", apart, 0)):
        with serving(StandIn(dialect, change=change)) as peer:
            scorer = ask(peer, model="m", connections=1)  # one request after the other
            scorer.announce("too early")
            scorer.raw_scores("q", ["a"])
            scorer.announce("next", deadline=time.monotonic() + 5)
            scorer.raw_scores("next", ["b"])
            told = [body for body in peer.asked if not peer.texts(body)]
            assert [body["query"] for body in told] == ["next"] * times
            assert all(body["deadline_ms"] <= 5000 for body in told)


@pytest.mark.parametrize("of_searches", [True, False])
def test_announcements_say_nothing_about_how_a_peer_scores(ask: Open, *, of_searches: bool) -> None:
    """A peer that answers announcements alone is left alone like any that fails; one that refuses only them is not."""

    def fault(handler: Any, number: int) -> bool:
        refused = bool(handler.standin.asked[number]["passages"]) == of_searches
        if refused:
            answering(503, b"", retry_after="0")(handler)
        return refused

    with serving(StandIn(change=lambda answer: {**answer, "reads_queries": True})) as peer:
        scorer = ask(peer, connections=1)
        scorer.raw_scores("q", ["a"])
        peer.fault = fault
        reasons = []
        for number in range(8):
            scorer.announce(f"q{number}")
            try:
                scorer.raw_scores(f"q{number}", ["a"])
            except ScorerError as error:
                reasons.append(error.reason)
        assert ("circuit_open" in reasons) == of_searches == bool(reasons)
        assert any(not body["passages"] for body in peer.asked)
        scorer.close()
        scorer.announce("nobody can")
