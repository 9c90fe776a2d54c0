"""Why a document stands where it does: every case, over an engine in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rebridge.explaining import explain
from rebridge.fusion import Fusion
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryEngine

from .explained import DOCUMENTS, MODEL, PIPELINE, searcher, told


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
