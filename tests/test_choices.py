"""Which requests are reranked, by which words, and what happens where the engine refuses the rank window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebridge import PipelineConfig
from rebridge.drivers import run
from rebridge.errors import ConnectorError
from rebridge.flow import rerank_flow
from rebridge.models import Doubt, SearchRequest
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.query_path import QueryPath
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine


class Refused(Exception):
    """What an engine says to a window that is too large for it."""


class Picky(MemoryConnector):
    """A connector for an engine that may refuse windows, and for requests that may be doubtful."""

    def read(self, request: dict[str, Any]) -> SearchRequest:
        """The request may name its doubts, and whether its words are explicit."""
        asked = super().read(request)
        doubts, explicit = request.get("doubts", ()), request.get("explicit", False)
        return replace(asked, doubts=doubts, explicit=explicit, document=request)

    def refusal(self, answer: Any) -> str | None:
        """A refusal, or a reply that lacks a part."""
        if isinstance(answer, Exception):
            return "window_refused" if isinstance(answer, Refused) else None
        return "shard_failures" if answer.get("failed") else None


PIPELINE = Pipeline("docs", Picky(), PassageTemplate("{text}"), rank_window=5)


class Engine(MemoryEngine):
    """Six documents, d0 first; it refuses more than ``limit`` hits, or leaves a part out then."""

    def __init__(self, limit: int = 100, *, problem: Exception | None = None, always: bool = False) -> None:
        super().__init__({f"d{n}": {"text": f"d{n}", "stage": 9 - n} for n in range(6)}, lambda _, doc: doc["stage"])
        self._limit, self._problem, self._always = limit, problem, always

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer, or refuse."""
        reply = super().search(request)
        if request.get("size", 10) <= self._limit and not self._always:
            return reply
        if self._problem is not None:
            raise self._problem
        return {**reply, "failed": 1}


REQUEST = {"query": "q", "size": 2}
BEST_LAST = FakeScorer({f"d{n}": float(n) for n in range(6)})


def ids(outcome: Any) -> list[str]:
    return [hit["id"] for hit in outcome.reply["hits"]]


def test_a_refused_window(drive: Any) -> None:
    """The user's own request is answered in the engine's order, and the reply says why."""
    engine = Engine(2, problem=Refused("too many"))
    outcome = drive(rerank_flow(REQUEST, PIPELINE), engine.search, BEST_LAST)
    assert ids(outcome) == [hit.candidate.doc_id for hit in outcome.page] == ["d0", "d1"]
    assert engine.requests[-1] == REQUEST
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "window_refused")
    assert outcome.reply["_rerank"]["status"] == "degraded"


def test_a_refused_window_can_be_an_error(drive: Any) -> None:
    """With `on_error: raise` it is an error, which names the window and the cure."""
    engine = Engine(2, problem=Refused("too many"))
    with pytest.raises(ConnectorError, match=r"rank window of 5. Lower rank_window.*too many"):
        drive(rerank_flow(REQUEST, replace(PIPELINE, on_error="raise")), engine.search, BEST_LAST)


def test_the_users_own_failure(drive: Any) -> None:
    """What fails for the user's own request too is that request's failure."""
    engine = Engine(always=True, problem=Refused("no such field"))
    with pytest.raises(Refused, match="no such field"):
        drive(rerank_flow(REQUEST, PIPELINE), engine.search, BEST_LAST)
    assert engine.requests[-1] == REQUEST


def test_other_failures_are_not_tried_again(drive: Any) -> None:
    """A failure that has nothing to do with the window reaches the caller after one request."""
    engine = Engine(always=True, problem=ConnectionError("down"))
    with pytest.raises(ConnectionError, match="down"):
        drive(rerank_flow(REQUEST, PIPELINE), engine.search, BEST_LAST)
    assert len(engine.requests) == 1


def test_a_part_that_only_the_window_lacks(drive: Any) -> None:
    """Where only the wider request lost a part of the index, the user's own is answered."""
    outcome = drive(rerank_flow(REQUEST, PIPELINE), Engine(2).search, BEST_LAST)
    assert ids(outcome) == ["d0", "d1"]
    assert outcome.summary.reason == "shard_failures"
    assert "failed" not in outcome.reply


def test_a_part_that_is_lost_anyway(drive: Any) -> None:
    """Where the user's own request lacks a part as well, what is there is reranked."""
    outcome = drive(rerank_flow(REQUEST, PIPELINE), Engine(always=True).search, BEST_LAST)
    assert ids(outcome) == ["d4", "d3"]
    assert outcome.reply["failed"] == 1


@pytest.mark.parametrize(
    ("doubts", "allowed", "reason"),
    [
        (("tie_breaker",), (), "tie_breaker"),
        (("tie_breaker",), ("tie_breaker",), None),
        (("tie_breaker", "term_query"), ("tie_breaker",), "term_query"),
        (("filter_text",), ("term_query",), "filter_text"),
    ],
)
def test_doubtful_requests(doubts: tuple[Doubt, ...], allowed: tuple[Doubt, ...], reason: str | None) -> None:
    """They pass through with their reason, unless the pipeline wants them reranked."""
    pipeline = replace(PIPELINE, rerank_also=frozenset(allowed))
    outcome = run(rerank_flow({**REQUEST, "doubts": doubts}, pipeline), Engine().search, BEST_LAST)
    assert outcome.summary.reason == reason


@pytest.mark.parametrize(
    ("request_", "words", "reason"),
    [
        ({"query": "walker", "own": {"words": "by path"}}, "by path", None),
        ({"query": "walker"}, "walker", None),
        ({"query": None, "own": {"words": " by path "}}, "by path", None),
        ({"query": "said", "explicit": True, "own": {"words": "by path"}}, "said", None),
        ({"query": "A-1", "doubts": ("term_query",), "own": {"words": "by path"}}, "by path", None),
        ({"query": "A-1", "doubts": ("tie_breaker",), "own": {"words": "by path"}}, None, "tie_breaker"),
        ({"query": "walker", "own": {"words": 7}}, "walker", None),
    ],
)
def test_a_path_to_the_words(request_: dict[str, Any], words: str | None, reason: str | None) -> None:
    """The pipeline's path goes before what is found in the query, and behind what the request says itself."""
    scorer = FakeScorer(lambda _query, _passage: 1.0)
    pipeline = replace(PIPELINE, query_path=QueryPath("$.own.words"))
    outcome = run(rerank_flow(request_, pipeline), Engine().search, scorer)
    assert outcome.summary.reason == reason
    assert [query for query, _ in scorer.calls] == ([] if words is None else [words])


def test_a_path_with_a_mistake() -> None:
    """A path that is no JSONPath is refused where the pipeline is made, and the message shows the place."""
    with pytest.raises(ValueError, match=r"'\$\.a\[' is not a JSONPath"):
        PipelineConfig(query_path="$.a[")
