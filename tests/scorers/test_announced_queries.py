"""A query that is announced is read while its passages are fetched, and once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.drivers import run
from rebridge.flow import rerank_flow
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.testing import MemoryConnector, MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSAGES = ["red shoes", "wind energy and its cost", "blue"]
DOCUMENTS = {str(number): {"text": text} for number, text in enumerate(PASSAGES)}
PIPELINE = Pipeline("docs", MemoryConnector(), PassageTemplate("{text}"), on_error="raise")
SECONDS = 20


def read(scorer: Any, inputs: int) -> bool:
    """Wait until the model has read so many inputs; whether it did."""
    ends = time.monotonic() + SECONDS
    while scorer.counts().inputs < inputs and time.monotonic() < ends:
        time.sleep(0.01)
    return bool(scorer.counts().inputs == inputs)


def test_the_query_is_read_while_the_engine_searches(bi_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """The engine answers only after the query was read; nothing but the passages is left then."""
    scorer = open_tiny(bi_encoder)
    engine = MemoryEngine(DOCUMENTS)

    def slow(request: Any) -> Any:
        assert read(scorer, 1)
        return engine.search(request)

    outcome = run(rerank_flow({"query": "red wind blue"}, PIPELINE), slow, scorer)
    assert read(scorer, 1 + len(PASSAGES))
    expected = dict(zip(DOCUMENTS, open_tiny(bi_encoder).score("red wind blue", PASSAGES), strict=True))
    assert {hit.candidate.doc_id: hit.rerank_score for hit in outcome.page} == pytest.approx(expected, abs=1e-6)


def test_a_query_that_comes_again_is_not_read_again(bi_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """The next page of a search costs only passages that are new."""
    scorer = open_tiny(bi_encoder)
    first = scorer.score("shoes", PASSAGES[:2])
    assert scorer.score("shoes", PASSAGES)[:2] == pytest.approx(first, abs=1e-6)
    assert scorer.counts().inputs == 1 + len(PASSAGES)


def test_equal_queries_that_wait_together_are_read_once(
    bi_encoder: Path, open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the model is busy, an announcement and searches for its query find themselves in the same batch."""
    scorer = open_tiny(bi_encoder)
    expected = scorer.score("shoes", PASSAGES)
    scorer = open_tiny(bi_encoder)
    forward, free = scorer.family.forward, threading.Event()

    def held(batch: Any) -> Any:
        assert free.wait(SECONDS)
        return forward(batch)

    monkeypatch.setattr(scorer.family, "forward", held)
    first = scorer.submit("other", ["text"])
    scorer.announce("shoes")
    searches = [scorer.submit("shoes", PASSAGES[:1]), scorer.submit("shoes", PASSAGES[1:])]
    free.set()
    assert first.result(SECONDS)
    scores = [score for search in searches for (score,) in search.result(SECONDS)]
    assert scores == pytest.approx(expected, abs=1e-6)
    assert scorer.counts().inputs == 2 + 1 + len(PASSAGES)


def test_a_late_announcement_is_not_read(bi_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Nobody waits for it any more."""
    scorer = open_tiny(bi_encoder)
    scorer.announce("shoes", deadline=time.monotonic() - 1)
    scorer.score("wind", PASSAGES)
    assert scorer.counts().inputs == 1 + len(PASSAGES)


def test_models_that_read_pairs_do_nothing(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """A cross-encoder cannot read a query without a passage."""
    scorer = open_tiny(cross_encoder)
    scorer.announce("shoes")
    scorer.score("shoes", PASSAGES)
    assert scorer.counts().inputs == len(PASSAGES)


def test_a_closed_scorer_says_so_when_it_is_asked(bi_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """An announcement never fails."""
    scorer = open_tiny(bi_encoder)
    scorer.close()
    scorer.announce("shoes")
