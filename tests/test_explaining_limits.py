"""What an explanation says where engine or model tell less, or look at less, than was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.connector import IndexFacts
from rebridge.errors import ConnectorError, ScorerError
from rebridge.explaining import explain
from rebridge.passages import PassageTemplate
from rebridge.scorers.reading import Reading
from rebridge.searcher import Searcher
from rebridge.steps import Windows
from rebridge.testing import FakeScorer, MemoryEngine

from .explained import DOCUMENTS, MODEL, PIPELINE, searcher, told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future


class _Fails(FakeScorer):
    """A model that fails for one document."""

    def submit(self, query: str, passages: Sequence[str], **options: Any) -> Future[list[tuple[float, ...]]]:
        if "shoe shoe" in passages:
            raise ScorerError("out of memory")
        return super().submit(query, passages, **options)


def test_a_model_that_fails_behind_the_window() -> None:
    """If the model fails for a document behind the window, place and verdict are told all the same, and why."""
    found = explain(searcher(scorer=_Fails(MODEL)), "shoe", "d")
    assert (found.verdict, found.rank, found.status) == ("outside_window", 4, "applied")
    assert found.judgement is not None
    assert (found.judgement.raw, found.judgement.failure) == (None, "out of memory")
    assert "rank_window of 4 or more" in told(found)
    assert "The model failed to score it: out of memory" in told(found)
    assert "no finite score" not in told(found)
    with pytest.raises(ScorerError, match="out of memory"):
        explain(searcher(replace(PIPELINE, on_error="raise"), _Fails(MODEL)), "shoe", "d")


def test_too_deep() -> None:
    """Behind as many hits as were looked at nothing is claimed, and the search goes no deeper than it may."""
    documents = {f"d{number}": {"text": "shoe " * (30 - number)} for number in range(25)}
    asked = searcher(documents=documents)
    found = explain(asked, "shoe", "d20", depth=10)
    assert (found.verdict, found.looked_at) == ("too_deep", 10)
    assert "not among the first 10 hits" in told(found)
    assert explain(asked, "shoe", "d9", depth=10).first_stage_rank == 10
    assert max(request["from"] + request["size"] for request in asked.engine.requests) == 10
    assert explain(asked, "shoe", "d20", depth=1).looked_at == PIPELINE.rank_window


def test_deep_searches_go_in_steps() -> None:
    """A far hit is found by requests that are small enough for memory."""
    documents = {f"d{number}": {"text": "shoe"} for number in range(2500)}
    asked = searcher(documents=documents)
    assert explain(asked, "shoe", "d2400").first_stage_rank == 2401
    assert max(request["size"] for request in asked.engine.requests) == 1000


class _Narrow(MemoryEngine):
    """An engine that answers five hits at most."""

    def facts(self) -> IndexFacts:
        return IndexFacts("narrow", {}, 5)

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["from"] + request["size"] > 5:
            raise ConnectorError("too far")
        return super().search(request)


def test_the_engines_limit() -> None:
    """No search goes beyond what the engine allows."""
    documents = {f"d{number}": {"text": "shoe " * (30 - number)} for number in range(25)}
    asked = Searcher(PIPELINE, _Narrow(documents), FakeScorer(), {"text": 1.0})
    assert explain(asked, "shoe", "d4").first_stage_rank == 5
    assert explain(asked, "shoe", "d20").verdict == "too_deep"


class _Silent(MemoryEngine):
    """An engine that tells nothing about itself."""

    def facts(self) -> IndexFacts:
        raise ConnectorError("you may not ask")


def test_an_engine_that_tells_nothing() -> None:
    """A user who may search but not look at the index gets an explanation too."""
    asked = Searcher(PIPELINE, _Silent(DOCUMENTS), FakeScorer(MODEL), {"text": 1.0})
    assert explain(asked, "shoe", "d").verdict == "outside_window"


def test_degraded() -> None:
    """If the model fails, the place is the first stage's, and the explanation says why."""
    found = explain(searcher(scorer=FakeScorer(error=ScorerError("broken"))), "shoe", "b")
    assert (found.status, found.rank, found.first_stage_share, found.judgement) == ("degraded", 2, None, None)
    assert "The search was degraded (scorer_failed)" in told(found)
    with pytest.raises(ScorerError):
        explain(searcher(replace(PIPELINE, on_error="raise"), FakeScorer(error=ScorerError("broken"))), "shoe", "b")


def test_nothing_asked() -> None:
    """A query without words is not reranked, and says so."""
    engine = MemoryEngine(DOCUMENTS, lambda _query, _fields: 1.0)
    found = explain(Searcher(PIPELINE, engine, FakeScorer(), {"text": 1.0}), " ", "b")
    assert (found.verdict, found.status, found.rank) == ("shown", "bypassed", 2)
    assert "no_query_text" in told(found)


def test_no_text() -> None:
    """A document without text in the passage's fields is named as such."""
    documents = {"a": {"text": "shoe shoe"}, "b": {"other": "shoe"}}
    found = explain(searcher(documents=documents), "shoe", "b")
    assert found.judgement is not None
    assert found.judgement.flags == ("no_passage",)
    assert found.rank == 2
    assert "nothing to read" in told(found)


class _Reader(FakeScorer):
    """A scorer that can tell what it reads."""

    def reading(self, query: str, passage: str, *, windows: Windows | None = None) -> Reading:
        return Reading(20, (12, 12), (12, 10), 4, "the unread end " * 9)


def test_what_was_read() -> None:
    """Tokens, windows and what the model did not read are told, with the score of every window."""
    windows = Windows(size=8, stride=8)
    documents = {"a": {"text": "shoe " * 12}, "b": {"text": "shoe"}}
    scorer = _Reader(lambda _query, passage: float(len(passage)))
    pipeline = replace(PIPELINE, passage=PassageTemplate("{text}", windows=windows))
    text = told(explain(searcher(pipeline, scorer, documents), "shoe", "a"))
    assert "Its passage has 20 tokens in 2 windows." in text
    assert "does not read the end of its windows 2:" in text
    assert 'does not read the last 4 of them, from "the unread end' in text
    assert "Its passage windows have 39.0000, 19.0000." in text
