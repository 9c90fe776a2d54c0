"""Why a document stands where it does: every case, over an engine in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.connector import Connector, IndexFacts
from rebridge.errors import ConnectorError, ScorerError
from rebridge.explaining import explain
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.scorers.reading import Reading
from rebridge.searcher import Searcher
from rebridge.steps import Windows
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from rebridge.explanation import Explanation

CONNECTOR: Connector[Any, Any] = MemoryConnector()
PIPELINE = Pipeline("docs", CONNECTOR, PassageTemplate("{text}"), Fusion("weighted", 0.5), rank_window=3)
# The first stage counts words, so these stand in this order for "shoe"; the last has none.
DOCUMENTS = {
    "a": {"text": "shoe shoe shoe shoe shoe", "lang": "en", "kind": "ad"},
    "b": {"text": "shoe shoe shoe shoe", "lang": "de", "kind": "ad"},
    "c": {"text": "shoe shoe shoe", "lang": "en", "kind": "text"},
    "d": {"text": "shoe shoe", "lang": "en", "kind": "ad"},
    "e": {"text": "shoe", "lang": "de", "kind": "text"},
    "f": {"text": "Leather boots", "lang": "en", "kind": "text"},
}
SCORES = {"shoe " * 5: -1.0, "shoe " * 4: 0.0, "shoe " * 3: 3.0, "shoe " * 2: 5.0, "shoe ": 2.0, "Leather boots": 1.0}
MODEL = {text.strip(): score for text, score in SCORES.items()}


def searcher(
    pipeline: Pipeline = PIPELINE,
    scorer: FakeScorer | None = None,
    documents: Mapping[str, Mapping[str, Any]] = DOCUMENTS,
) -> Searcher:
    return Searcher(pipeline, MemoryEngine(documents), scorer or FakeScorer(MODEL), {"text": 1.0})


def told(found: Explanation) -> str:
    return " ".join(found.sentences())


def test_in_the_window() -> None:
    """A document in the window has both ranks, both scores, the terms of their fusion, and the hit above it."""
    found = explain(searcher(), "shoe", "b")
    assert (found.verdict, found.first_stage_rank, found.rank, found.in_window) == ("shown", 2, 3, 3)
    assert found.first_stage_score == 4.0
    assert (found.first_stage_share, found.rerank_share) == (0.25, 0.125)
    assert "0.2500 (first stage) + 0.1250 (model) = 0.3750, shown as 2.3750" in told(found)
    assert found.judgement is not None
    assert (found.judgement.raw, found.judgement.better, found.judgement.passage) == (0.0, 1, "shoe shoe shoe shoe")
    assert found.above is not None
    assert (found.above.doc_id, found.above.first_stage, found.above.rerank) == ("c", 0.0, 0.5)
    assert "The hit above, c, is 0.1250 ahead: -0.2500 by the first stage, +0.3750 by the model." in told(found)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-9, 9)), min_size=1, max_size=12), st.data())
def test_agrees_with_the_search(given_scores: list[tuple[int, float]], data: st.DataObject) -> None:
    """Ranks and scores are those of a search for every document, whatever the window, fusion and threshold are."""
    documents = {
        f"d{number}": {"text": f"t{number}", "n": float(first)} for number, (first, _) in enumerate(given_scores)
    }
    model = {f"t{number}": score for number, (_, score) in enumerate(given_scores)}
    pipeline = replace(
        PIPELINE,
        rank_window=data.draw(st.integers(1, 14)),
        min_rerank_score=data.draw(st.none() | st.floats(-9, 9)),
        fusion=Fusion(data.draw(st.sampled_from(["weighted", "rrf", "replace"]))),
    )
    engine = MemoryEngine(documents, lambda _query, fields: fields["n"])
    asked = Searcher(pipeline, engine, FakeScorer(model), {"text": 1.0})
    shown = {hit.candidate.doc_id: hit for hit in asked.search("q", size=20).page}
    for doc_id in documents:
        found = explain(asked, "q", doc_id)
        hit = shown.get(doc_id)
        assert found.rank == (None if hit is None else hit.rank)
        if hit is not None and found.verdict == "shown":
            assert found.score == hit.score
            assert found.first_stage_rank == hit.candidate.rank
        assert (found.verdict == "removed") <= (hit is None)
        assert found.judgement is not None
        assert found.judgement.raw == model[f"t{doc_id[1:]}"]


def test_sentences_of_a_move() -> None:
    """The sentences say how far reranking moved the document and what puts the next one ahead."""
    documents = {"x": {"text": "shoe shoe shoe"}, "y": {"text": "shoe shoe"}, "z": {"text": "shoe"}}
    scorer = FakeScorer({"shoe shoe shoe": 0.0, "shoe shoe": 1.0, "shoe": 4.0}, activation="sigmoid")
    pipeline = replace(PIPELINE, fusion=Fusion("replace"))
    low = explain(searcher(pipeline, scorer, documents), "shoe", "x")
    assert "at rank 3: reranking lowered it by 2 places from 1." in told(low)
    assert "The model gives it 0.0000 (0.5000 after sigmoid); 2 of the window's 3 hits have more." in told(low)
    assert "The hit above, y, is 1.0000 ahead: +0.0000 by the first stage, +1.0000 by the model." in told(low)
    high = explain(searcher(pipeline, scorer, documents), "shoe", "z")
    assert "at rank 1: reranking raised it by 2 places from 3." in told(high)
    assert high.above is None
    assert "as in the first stage" in told(explain(searcher(pipeline, scorer, documents), "shoe", "y"))


def test_behind_the_window() -> None:
    """A document behind the window keeps its rank; which window would reach it, and what the model thinks, is told."""
    found = explain(searcher(), "shoe", "d")
    assert (found.verdict, found.first_stage_rank, found.rank, found.score) == ("outside_window", 4, 4, None)
    assert found.judgement is not None
    assert (found.judgement.raw, found.judgement.better) == (5.0, 0)
    assert "rank_window of 4 or more" in told(found)
    assert "would give it 5.0000; none of the window's 3 hits have more." in told(found)


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


class _Together(MemoryEngine):
    """An engine that leaves a document out only if there are several filters."""

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = super().search({**request, "filter": {}})
        if len(request.get("filter") or {}) > 1:
            reply["hits"] = [hit for hit in reply["hits"] if hit["id"] != "b"]
        return reply


def test_filters_that_work_together() -> None:
    """If no filter keeps a document out by itself, no list of them is announced."""
    asked = Searcher(PIPELINE, _Together(DOCUMENTS), FakeScorer(MODEL), {"text": 1.0})
    found = explain(asked, "shoe", "b", filters={"lang": "x", "kind": "y"})
    assert (found.verdict, found.removed_by) == ("filtered", {})
    assert "The filters keep it out, but none of them does so alone. Without them" in told(found)


def test_below_the_threshold() -> None:
    """A document that the threshold removes has no rank, and one behind the window is not shown either."""
    pipeline = replace(PIPELINE, min_rerank_score=0.5)
    found = explain(searcher(pipeline), "shoe", "a")
    assert (found.verdict, found.rank, found.first_stage_rank) == ("removed", None, 1)
    assert "below min_rerank_score, which is 0.5" in told(found)
    assert explain(searcher(pipeline), "shoe", "c").rank == 1
    behind = explain(searcher(pipeline), "shoe", "d")
    assert (behind.verdict, behind.rank) == ("outside_window", None)
    assert "min_rerank_score removes" in told(behind)


def test_filtered() -> None:
    """A filter that keeps the document out is named, with what the document has there; others are not."""
    found = explain(searcher(), "shoe", "b", filters={"lang": "en", "kind": "ad"})
    assert (found.verdict, found.rank, found.first_stage_rank) == ("filtered", None, 2)
    assert found.removed_by == {"lang": "de"}
    assert "lang is de in the document" in told(found)
    both = explain(searcher(), "shoe", "e", filters={"lang": "en", "kind": "ad", "{odd}": "x"})
    assert both.removed_by == {"lang": "de", "kind": "text", "{odd}": ""}
    inside = explain(searcher(), "shoe", "d", filters={"lang": "en"})
    assert (inside.verdict, inside.first_stage_rank) == ("shown", 3)


def test_not_matched() -> None:
    """A document that the query does not find is told from one that is not there; common words are listed."""
    found = explain(searcher(), "shoe", "f")
    assert (found.verdict, found.looked_at, found.first_stage_rank) == ("not_matched", 5, None)
    assert "none of all 5 hits" in told(found)
    assert "None of the query's words" in told(found)
    assert found.judgement is not None
    assert found.judgement.raw == 1.0
    assert found.judgement.better == 1
    shared = explain(
        Searcher(PIPELINE, MemoryEngine(DOCUMENTS, lambda _query, _fields: 0.0), FakeScorer(), {"text": 1.0}),
        "boot BOOTS, leather!",
        "f",
    )
    assert shared.shared_words == {"boots": ("text",), "leather": ("text",)}
    assert "the document has boots in text; leather in text. Searched are text" in told(shared)
    assert "no hits at all" in told(shared)


def test_absent() -> None:
    """An id that the index does not hold is told at once."""
    asked = searcher()
    found = explain(asked, "shoe", "nowhere")
    assert (found.verdict, found.rank, found.judgement) == ("absent", None, None)
    assert "holds no document with the id 'nowhere'" in told(found)


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
