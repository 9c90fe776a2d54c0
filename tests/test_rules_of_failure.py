"""The rules that users rely on where something fails, over an engine in memory and both drivers."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import pytest

from rebridge.errors import BadReply, NoPassages, ScorerError
from rebridge.flow import rerank_flow
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.testing import FakeScorer

from .rules import PIPELINE, engine, ids, search

FAULTS = {
    "raises": FakeScorer(error=ScorerError("out of memory")),
    "unexpected error": FakeScorer(error=ValueError("a bug")),
    "nothing finite": FakeScorer(default=math.nan),
}


@pytest.mark.parametrize("scorer", FAULTS.values(), ids=FAULTS)
def test_fails_open(scorer: FakeScorer, drive: Any, caplog: pytest.LogCaptureFixture) -> None:
    """When the scorer fails, the first stage's order and scores come back, marked as degraded, and it is logged."""
    where = engine([1, 3, 2])
    with caplog.at_level(logging.WARNING, "rebridge"):
        outcome = drive(rerank_flow({"query": "q"}, PIPELINE), where.search, scorer)
    assert [(hit["id"], hit["score"]) for hit in outcome.reply["hits"]] == [("d1", 3), ("d2", 2), ("d0", 1)]
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "scorer_failed")
    assert outcome.reply["_rerank"]["status"] == "degraded"
    assert "docs: first-stage order" in caplog.text


@pytest.mark.parametrize("annotate", ["none", "summary", "full"])
def test_a_degraded_reply_always_says_so(annotate: Any) -> None:
    """However little a reply is to say, that it is degraded stands in it; what failed inside does not."""
    scorer = FakeScorer(error=ScorerError("no /secret/path"))
    outcome = search(engine([1, 2]), scorer, replace(PIPELINE, annotate=annotate))
    assert outcome.reply["_rerank"]["status"] == "degraded"
    assert "secret" not in str(outcome.reply)
    assert outcome.summary.detail == "no /secret/path"


@pytest.mark.parametrize("scorer", FAULTS.values(), ids=FAULTS)
def test_raises_if_asked_to(scorer: FakeScorer, drive: Any) -> None:
    """With on_error: raise the scorer's error reaches the caller."""
    with pytest.raises((ScorerError, ValueError)):
        drive(rerank_flow({"query": "q"}, replace(PIPELINE, on_error="raise")), engine([1, 2]).search, scorer)


def test_deadline(drive: Any) -> None:
    """A scorer that hangs is given up at the deadline; the reply says so."""
    pipeline = replace(PIPELINE, deadline_s=0.05)
    outcome = drive(rerank_flow({"query": "q"}, pipeline), engine([1, 2]).search, FakeScorer(hangs=True))
    assert ids(outcome) == ["d1", "d0"]
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "deadline")


def test_wrong_number_of_scores() -> None:
    """A scorer that answers too few scores never leads to a wrong order."""

    class Short(FakeScorer):
        def submit(self, query: str, passages: Any, **options: Any) -> Any:
            return super().submit(query, passages[1:], **options)

    outcome = search(engine([1, 2, 3]), Short())
    assert ids(outcome) == ["d2", "d1", "d0"]
    assert outcome.summary.status == "degraded"


def test_no_threshold_when_degraded() -> None:
    """A degraded reply keeps all hits, whatever the threshold."""
    pipeline = replace(PIPELINE, min_rerank_score=0.5)
    outcome = search(engine([5, 4, 3]), FakeScorer(error=ScorerError("down")), pipeline)
    assert ids(outcome) == ["d0", "d1", "d2"]


@pytest.mark.parametrize("text", [None, "", "  \n", [], {}, b"bytes"])
def test_one_bad_document(text: Any) -> None:
    """A document without text is flagged and goes behind its equals; the others are scored as ever."""
    where = engine([3, 2, 1])
    where.documents["d1"] = {"text": text, "stage": 2}
    scorer = FakeScorer({"d0": 0.1, "d2": 0.9})
    outcome = search(where, scorer, replace(PIPELINE, fusion=Fusion("replace")))
    assert ids(outcome) == ["d2", "d0", "d1"]
    assert outcome.page[2].flags == ("no_passage",)
    assert outcome.page[2].rerank_score is None
    assert scorer.calls == [("q", ("d0", "d2"))]
    assert outcome.summary.scored == 2


def test_one_score_that_is_not_finite() -> None:
    """A passage for which the model gives NaN costs only itself."""
    scorer = FakeScorer({"d0": math.nan, "d1": 0.1, "d2": 0.9})
    outcome = search(engine([3, 2, 1]), scorer, replace(PIPELINE, fusion=Fusion("replace")))
    assert ids(outcome) == ["d2", "d1", "d0"]
    assert outcome.page[2].flags == ("no_finite_score",)


def test_no_passage_at_all() -> None:
    """If no candidate has a passage, the pipeline's fields are wrong: the reply is degraded, or the error raised."""
    pipeline = replace(PIPELINE, passage=PassageTemplate("{body}"))
    outcome = search(engine([1, 2]), FakeScorer(), pipeline)
    assert ids(outcome) == ["d1", "d0"]
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "no_passages")
    assert "body" in (outcome.summary.detail or "")
    with pytest.raises(NoPassages, match="body"):
        search(engine([1, 2]), FakeScorer(), replace(pipeline, on_error="raise"))


def test_engine_errors_reach_the_caller(drive: Any) -> None:
    """The engine's own exception is not wrapped, even where scorer failures are forgiven."""

    def send(_request: Any) -> Any:
        raise ConnectionError("engine down")

    with pytest.raises(ConnectionError, match="engine down"):
        drive(rerank_flow({"query": "q"}, PIPELINE), send, FakeScorer())


def test_garbage_from_the_engine(drive: Any) -> None:
    """A reply that is none is an error with evidence, never a wrong order."""
    with pytest.raises(BadReply, match="Bad Gateway"):
        drive(rerank_flow({"query": "q"}, PIPELINE), lambda _request: "<html>Bad Gateway</html>", FakeScorer())
