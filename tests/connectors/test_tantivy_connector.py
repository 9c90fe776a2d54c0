from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("tantivy")

from rebridge.errors import BadReply, ConnectorError
from rebridge.models import PagePlan, RankedHit, Summary
from rebridge_tantivy import CONNECTOR

PLAN = PagePlan(offset=1, size=2, rank_window=3, fetch_offset=0, fetch_size=3, fields=("title", "text"))


def reply() -> dict[str, Any]:
    hits = [
        {"_index": "i", "_id": name, "_score": score, "_source": {"title": name, "text": "t", "n": 1}, "highlight": {}}
        for name, score in (("a", 3.0), ("b", 2.0), ("c", 1.0))
    ]
    return {"took": 1, "hits": {"total": {"value": 9, "relation": "eq"}, "max_score": 3.0, "hits": hits}, "more": [1]}


def ranked(scores: dict[str, float]) -> list[RankedHit]:
    by_id = {candidate.doc_id: candidate for candidate in CONNECTOR.parse(reply(), PLAN)}
    return [RankedHit(by_id[name], rank, score, 0.5, (0.5,)) for rank, (name, score) in enumerate(scores.items(), 1)]


class TestRead:
    @pytest.mark.parametrize(
        ("request_", "text"),
        [
            ({"query": "red: (shoes"}, "red: (shoes"),
            ({"query": "x", "rerank_query": "a real question"}, "a real question"),
            ({"query": 'title:"big cat"^2 OR (+dog -bird) NOT (cow emu)', "syntax": "tantivy"}, "big cat dog"),
            ({"query": "fox price:[1 TO 5] id:IN [a b]", "syntax": "tantivy"}, "fox"),
            ({"query": "title:x", "syntax": "tantivy", "rerank_query": "y"}, "y"),
        ],
    )
    def test_finds_the_words_that_the_user_asked_for(self, request_: dict[str, Any], text: str) -> None:
        """An explicit query text wins; query language and negated words are left out."""
        asked = CONNECTOR.read(request_)
        assert (asked.query_text, asked.bypass) == (text, None)

    def test_finds_the_page(self) -> None:
        """The page is the request's own, or the first ten hits."""
        assert (CONNECTOR.read({}).offset, CONNECTOR.read({}).size) == (0, 10)
        asked = CONNECTOR.read({"query": "x", "from": 20, "size": 5})
        assert (asked.offset, asked.size) == (20, 5)

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            ({"query": "x", "size": 0}, "size_0"),
            ({"query": "x", "sort": "n"}, "own_sort"),
        ],
    )
    def test_says_why_a_request_cannot_be_reranked(self, request_: dict[str, Any], reason: str) -> None:
        """What cannot be reranked has a reason."""
        assert CONNECTOR.read(request_).bypass == reason

    def test_refuses_what_is_no_request(self) -> None:
        """A misspelt key is found before the engine is asked."""
        with pytest.raises(ConnectorError, match="Did you mean 'size'"):
            CONNECTOR.read({"siez": 1})


class TestWiden:
    @pytest.mark.parametrize(
        ("source", "widened"),
        [
            ({}, True),
            ({"source": True}, True),
            ({"source": False}, ["title", "text"]),
            ({"source": ["n", "title"]}, ["n", "title", "text"]),
        ],
    )
    def test_asks_for_the_slice_and_the_fields(self, source: dict[str, Any], widened: object) -> None:
        """Only the page and, where it is restricted, the source change."""
        request = {"query": "x", "from": 1, "size": 2, "filter": {"n": 1}, **source}
        before = copy.deepcopy(request)
        assert CONNECTOR.widen(request, PLAN) == {**before, "from": 0, "size": 3, "source": widened}
        assert request == before


class TestParse:
    def test_ranks_count_from_the_slice(self) -> None:
        """Candidates keep the engine's order, scores and fields."""
        plan = PagePlan(offset=5, size=3, rank_window=3, fetch_offset=5, fetch_size=3)
        candidates = CONNECTOR.parse(reply(), plan)
        assert [(c.doc_id, c.score, c.rank, c.position) for c in candidates] == [
            ("a", 3.0, 6, 0),
            ("b", 2.0, 7, 1),
            ("c", 1.0, 8, 2),
        ]
        assert candidates[0].source == {"title": "a", "text": "t", "n": 1}

    @pytest.mark.parametrize(
        "bad", [{}, {"hits": []}, {"hits": {"hits": {}}}, {"hits": {"hits": [{"_id": "a"}]}}, None]
    )
    def test_refuses_what_is_no_reply(self, bad: Any) -> None:
        """Something else than a search reply is told with its beginning."""
        with pytest.raises(BadReply, match=r"hits\.hits"):
            CONNECTOR.parse(bad, PLAN)


class TestRender:
    def test_has_exactly_these_hits_and_all_else_as_it_was(self) -> None:
        """Order and scores are the final ones; highlights, totals and unknown keys stay."""
        before = reply()
        after = CONNECTOR.render({"query": "x"}, before, ranked({"c": 0.9, "a": 0.2}), 0.95)
        assert before == reply()
        a, _, c = before["hits"]["hits"]
        assert after == {
            **before,
            "hits": {**before["hits"], "max_score": 0.95, "hits": [{**c, "_score": 0.9}, {**a, "_score": 0.2}]},
        }

    @pytest.mark.parametrize(
        ("source", "kept"),
        [(True, {"title": "b", "text": "t", "n": 1}), (["n"], {"n": 1}), ([], {}), (False, None)],
    )
    def test_removes_what_only_widen_asked_for(self, source: object, kept: object) -> None:
        """The hit's source is what the user's own request asked for."""
        after = CONNECTOR.render({"query": "x", "source": source}, reply(), ranked({"b": 1.0}), 1.0)
        assert after["hits"]["hits"][0].get("_source") == kept

    def test_max_score_stays_if_no_score_changed(self) -> None:
        """A page in first-stage order keeps the engine's best score, also a later page."""
        assert CONNECTOR.render({}, reply(), ranked({"b": 2.0, "c": 1.0}), None)["hits"]["max_score"] == 3.0


class TestAnnotate:
    def test_adds_the_summary_and_a_note_on_each_hit(self) -> None:
        """What was done is told under `_rerank`; nothing else changes."""
        page = ranked({"c": 0.9, "a": 0.2})
        rendered = CONNECTOR.render({}, reply(), page, 0.9)
        told = CONNECTOR.annotate(rendered, Summary("applied", model="m", scored=2), page)
        assert (told["_rerank"]["status"], told["_rerank"]["scored"], "reason" in told["_rerank"]) == (
            "applied",
            2,
            False,
        )
        assert told["hits"]["hits"][0]["_rerank"] == {
            "rank": 1,
            "first_stage_rank": 3,
            "first_stage_score": 1.0,
            "rerank_score": 0.5,
            "windows": [0.5],
            "flags": [],
        }
        assert "_rerank" not in rendered
        assert "_rerank" not in rendered["hits"]["hits"][0]

    def test_a_bypassed_reply_gets_the_summary_alone(self) -> None:
        """Without a page the hits stay as they are."""
        told = CONNECTOR.annotate(reply(), Summary("bypassed", "size_0"), ())
        assert told["hits"] == reply()["hits"]
        assert told["_rerank"]["reason"] == "size_0"


def test_request_asks_for_plain_words() -> None:
    """A request of plain words leaves out what was not given, and can be read back."""
    assert CONNECTOR.request("x", fields={}, offset=0, size=5, filters={}) == {"query": "x", "from": 0, "size": 5}
    request = CONNECTOR.request("x", fields={"title": 2.0}, offset=5, size=5, filters={"n": {"gte": 1}})
    assert request == {"query": "x", "from": 5, "size": 5, "fields": {"title": 2.0}, "filter": {"n": {"gte": 1}}}
    assert CONNECTOR.read(request).query_text == "x"


def test_without_tantivy_the_extra_is_named() -> None:
    """Importing the package without its client library says which extra brings it."""
    script = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.modules['tantivy'] = None\n"
        "try: import rebridge_tantivy\n"
        "except Exception as error: print(type(error).__name__, error.extra)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "MissingExtra embedded"
