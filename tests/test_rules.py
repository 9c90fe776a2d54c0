"""The rules that users rely on, over an engine in memory and both drivers."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rebridge.drivers import run
from rebridge.flow import rerank_flow
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.steps import Windows
from rebridge.testing import FakeScorer, MemoryEngine

from .rules import PIPELINE, engine, ids, search

SCORES = st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 7.25]), min_size=1, max_size=14)
RAW = st.floats(allow_nan=False, allow_infinity=False, width=32)
FUSIONS = st.builds(
    Fusion,
    method=st.sampled_from(["weighted", "rrf", "replace"]),
    weight=st.floats(0, 1),
    first_stage_normaliser=st.sampled_from(["min_max", "z_score", "rank", "identity", "sigmoid"]),
    rerank_normaliser=st.sampled_from(["min_max", "z_score", "rank", "identity", "sigmoid"]),
)


@given(
    scores=SCORES,
    raw=st.dictionaries(st.sampled_from([f"d{i}" for i in range(14)]), RAW),
    fusion=FUSIONS,
    window=st.integers(1, 16),
)
def test_window_boundary(scores: list[float], raw: dict[str, float], fusion: Fusion, window: int) -> None:
    """No document behind the rank window overtakes one inside; scores are non-negative and never rise."""
    pipeline = replace(PIPELINE, rank_window=window, fusion=fusion)
    outcome = search(engine(scores), FakeScorer(raw), pipeline, size=20)
    first_stage_ranks = [hit.candidate.rank for hit in outcome.page]
    assert sorted(first_stage_ranks[:window]) == list(range(1, min(window, len(scores)) + 1))
    assert first_stage_ranks[window:] == list(range(window + 1, len(scores) + 1))
    final = [hit["score"] for hit in outcome.reply["hits"]]
    assert all(score >= 0 for score in final)
    assert final == sorted(final, reverse=True)
    assert [hit.rank for hit in outcome.page] == list(range(1, len(scores) + 1))


@given(
    scores=SCORES,
    raw=st.dictionaries(st.sampled_from([f"d{i}" for i in range(14)]), RAW),
    fusion=FUSIONS,
    window=st.integers(1, 16),
    size=st.integers(1, 6),
)
def test_paging(scores: list[float], raw: dict[str, float], fusion: Fusion, window: int, size: int) -> None:
    """Pages put together are the ranking, without duplicates or gaps and with the same scores, past the window too."""
    pipeline = replace(PIPELINE, rank_window=window, fusion=fusion)
    whole = search(engine(scores), FakeScorer(raw), pipeline, size=20)
    pages: list[Any] = []
    for offset in range(0, len(scores) + size, size):
        page = search(engine(scores), FakeScorer(raw), pipeline, size=size, **{"from": offset})
        pages += [(hit["id"], hit["score"]) for hit in page.reply["hits"]]
    assert pages == [(hit["id"], hit["score"]) for hit in whole.reply["hits"]]


@given(scores=SCORES, fusion=FUSIONS)
def test_ties(scores: list[float], fusion: Fusion) -> None:
    """Equal rerank scores leave the first stage's order."""
    plain = [hit["id"] for hit in engine(scores).search({"query": "q", "size": 20})["hits"]]
    assert ids(search(engine(scores), FakeScorer(default=3.0), replace(PIPELINE, fusion=fusion), size=20)) == plain


def test_the_page_behind_the_window_costs_no_scoring() -> None:
    """A page that lies behind the window fetches its own slice only and asks no scorer."""
    where, scorer = engine([9, 8, 7, 6, 5, 4, 3, 2, 1]), FakeScorer()
    outcome = search(where, scorer, size=3, **{"from": 6})
    assert ids(outcome) == ["d6", "d7", "d8"]
    assert (outcome.summary.status, outcome.summary.reason) == ("applied", "outside_window")
    assert scorer.calls == []
    assert where.requests == [{"query": "q", "from": 6, "size": 3}]


def test_one_request_whatever_the_page() -> None:
    """The window costs one engine request, also where the page crosses the boundary."""
    where = engine([9, 8, 7, 6, 5, 4, 3, 2, 1])
    search(where, FakeScorer(), size=4, **{"from": 3})
    assert where.requests == [{"query": "q", "from": 0, "size": 7}]


def test_nothing_is_lost() -> None:
    """Unknown parts of the reply come through, fields fetched for passages are removed, inputs stay as they were."""
    where = engine([3, 2, 1])
    reply = where.search({"query": "q", "size": 10})
    reply |= {"facets": {"a": [1, {"b": None}]}}
    for hit in reply["hits"]:
        hit["highlight"] = f"<em>{hit['id']}</em>"
    before = copy.deepcopy(reply)
    request = {"query": "q", "source": ["stage"], "size": 2}
    pipeline = replace(PIPELINE, annotate="none", fusion=Fusion(weight=0.5))
    outcome = run(rerank_flow(request, pipeline), lambda _request: reply, FakeScorer({"d2": 1.0}))
    assert reply == before
    assert request == {"query": "q", "source": ["stage"], "size": 2}
    assert outcome.reply == {
        "total": 3,
        "facets": {"a": [1, {"b": None}]},
        "hits": [
            {"id": "d0", "score": pytest.approx(2.5), "source": {"stage": 3}, "highlight": "<em>d0</em>"},
            {"id": "d2", "score": pytest.approx(2.5), "source": {"stage": 1}, "highlight": "<em>d2</em>"},
        ],
    }


def test_threshold() -> None:
    """Hits below the threshold are removed, on every page; what was never scored is not shown."""
    pipeline = replace(PIPELINE, min_rerank_score=0.5, rank_window=4)
    scorer = FakeScorer({"d0": 0.1, "d1": 0.9, "d2": 0.5, "d3": 0.2, "d4": 0.9})
    outcome = search(engine([5, 4, 3, 2, 1]), scorer, pipeline)
    assert ids(outcome) == ["d1", "d2"]
    assert outcome.summary.dropped == 2
    assert ids(search(engine([5, 4, 3, 2, 1]), scorer, pipeline, size=1, **{"from": 1})) == ["d2"]
    assert ids(search(engine([5, 4, 3, 2, 1]), scorer, pipeline, **{"from": 4})) == []


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"query": "q", "sort": "stage"}, "own_sort"),
        ({"query": None}, "no_query_text"),
        ({"query": " \n"}, "no_query_text"),
    ],
)
def test_bypass(request_: dict[str, Any], reason: str, drive: Any) -> None:
    """A request that cannot be reranked goes out untouched, and the reply says why."""
    where, scorer = engine([1, 2]), FakeScorer()
    outcome = drive(rerank_flow(request_, PIPELINE), where.search, scorer)
    assert where.requests == [request_]
    assert scorer.calls == []
    assert (outcome.summary.status, outcome.summary.reason) == ("bypassed", reason)
    assert {k: v for k, v in outcome.reply.items() if k != "_rerank"} == engine([1, 2]).search(request_)


def test_windows_are_pooled() -> None:
    """A long passage is scored window by window and counts as its best one; all window scores stay visible."""
    where = MemoryEngine({"long": {"text": "a b c d e f g h i j"}}, lambda *_: 1.0)
    windows = Windows(size=8, stride=2)
    pipeline = replace(PIPELINE, passage=PassageTemplate("{text}", windows=windows))
    scorer = FakeScorer(lambda _query, text: float(text.startswith("c")))
    outcome = search(where, scorer, pipeline)
    assert outcome.page[0].windows == (0.0, 1.0)
    assert outcome.page[0].rerank_score == 1.0


def test_raw_scores_stay_visible() -> None:
    """The model's raw score is kept on each hit, however large and whatever fusion made of it."""
    pipeline = replace(PIPELINE, fusion=Fusion(rerank_normaliser="sigmoid"))
    outcome = search(engine([2, 1]), FakeScorer({"d0": 80.0, "d1": 90.0}), pipeline)
    assert [hit.rerank_score for hit in outcome.page] == [80.0, 90.0]
    assert outcome.reply["hits"][0]["_rerank"]["rerank_score"] == 80.0


@pytest.mark.parametrize("annotate", ["none", "summary", "full"])
def test_annotations_are_a_choice(annotate: Any) -> None:
    """A reply says nothing, a summary, or all of it."""
    reply = search(engine([2, 1]), FakeScorer(), replace(PIPELINE, annotate=annotate)).reply
    assert ("_rerank" in reply) == (annotate != "none")
    assert ("_rerank" in reply["hits"][0]) == (annotate == "full")


def test_no_hits() -> None:
    """An empty result is an ordinary result."""
    outcome = search(engine([]), FakeScorer())
    assert outcome.reply["hits"] == []
    assert outcome.summary.status == "applied"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=SCORES, raw=st.lists(RAW, min_size=14, max_size=14))
def test_deterministic(scores: list[float], raw: list[float], drive: Any) -> None:
    """The same search gives the same ranking, under both drivers."""
    scorer = FakeScorer({f"d{i}": value for i, value in enumerate(raw)})
    first = drive(rerank_flow({"query": "q", "size": 20}, PIPELINE), engine(scores).search, scorer)
    assert ids(first) == ids(search(engine(scores), scorer, size=20))
