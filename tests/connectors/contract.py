"""The rules that users rely on, as tests for any connector over its real engine."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from rebridge.connector import TEXT, Connector, Engine
from rebridge.errors import BadReply, ScorerError
from rebridge.evaluation.shared_fetch import SharedFetch
from rebridge.models import PagePlan
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer

#: How a new index for `DOCUMENTS` is made, where its connector wants to know.
FIELDS = {"title": "text", "text": "text", "lang": "keyword"}
DOCUMENTS = [
    (
        f"d{number}",
        {"title": f"shoe {number}", "text": "shoe " * (1 + number % 4), "lang": "de" if number % 3 else "en"},
    )
    for number in range(23)
]


@dataclass(frozen=True)
class Case:
    """A connector with an engine that holds `DOCUMENTS`, and what to ask it for."""

    connector: Connector[Any, Any]
    engine: Engine[Any, Any]

    def searcher(self, scorer: FakeScorer, **changes: Any) -> Searcher:
        pipeline = Pipeline("docs", self.connector, PassageTemplate("{title}"), rank_window=8, annotate="full")
        return Searcher(replace(pipeline, **changes), self.engine, scorer, {"title": 1.0, "text": 1.0})


def favourites(query: str, passage: str) -> float:
    """Scores that turn the first stage's order round, with ties."""
    del query
    return float(int(passage.rsplit(maxsplit=1)[-1]) % 5)


def ids(outcome: Any) -> list[str]:
    return [hit.candidate.doc_id for hit in outcome.page]


def _without_times(reply: Any) -> Any:
    """A reply but for how long it took."""
    if isinstance(reply, dict):
        return {key: _without_times(value) for key, value in reply.items() if key not in {"took", "QTime"}}
    return [_without_times(value) for value in reply] if isinstance(reply, list) else reply


class Contract:
    """The tests. A subclass, or its module, has a fixture ``case``: a `Case` whose engine holds `DOCUMENTS`."""

    def test_pages_are_the_ranking(self, case: Case) -> None:
        """Pages of any size, put together, are the ranking: each document once, scores never rising."""
        searcher = case.searcher(FakeScorer(favourites))
        whole = searcher.search("shoe", size=50)
        assert sorted(ids(whole)) == sorted(key for key, _ in DOCUMENTS)
        scores = [hit.score for hit in whole.page]
        shown = case.connector.parse(whole.reply, PagePlan(0, 50, 0, 0, 50))
        assert [(hit.doc_id, hit.score) for hit in shown] == list(zip(ids(whole), scores, strict=True))
        assert scores == sorted(scores, reverse=True)
        for size in (1, 3, 7, 8, 9, 20):
            pages = [searcher.search("shoe", offset=start, size=size) for start in range(0, 30, size)]
            assert [key for page in pages for key in ids(page)] == ids(whole)
            assert [hit.score for page in pages for hit in page.page] == scores

    def test_window_boundary(self, case: Case) -> None:
        """The head is the engine's own first hits in another order; the tail is untouched."""
        searcher = case.searcher(FakeScorer(favourites))
        before, after = ids(searcher.search("shoe", size=50, rerank=False)), ids(searcher.search("shoe", size=50))
        assert after != before
        assert sorted(after[:8]) == sorted(before[:8])
        assert after[8:] == before[8:]

    def test_requests_and_replies_are_never_changed(self, case: Case) -> None:
        """A request goes in and stays as it was; a reply can be compared byte by byte after rendering."""
        searcher = case.searcher(FakeScorer(favourites))
        request = searcher.request("shoe", size=5)
        before = copy.deepcopy(request)
        reply = case.engine.search(request)
        frozen = json.dumps(reply)
        plan_request = copy.deepcopy(request)
        outcome = searcher.send(plan_request)
        assert plan_request == request == before
        assert json.dumps(reply) == frozen
        assert outcome.reply is not reply

    def test_nothing_else_changes(self, case: Case) -> None:
        """But for order, scores and annotations the reply is the one that the engine gives without rebridge."""
        searcher = case.searcher(FakeScorer(favourites), annotate="none", rank_window=50)
        request = searcher.request("shoe", size=50)
        bare, reranked = case.engine.search(request), searcher.send(request).reply

        def comparable(value: Any) -> Any:
            """Scores and times left out, hits in the order of their text."""
            if isinstance(value, dict):
                left_out = {"score", "_score", "max_score", "maxScore", "took", "QTime"}
                return {key: comparable(inner) for key, inner in value.items() if key not in left_out}
            return sorted((comparable(inner) for inner in value), key=repr) if isinstance(value, list) else value

        assert comparable(reranked) == comparable(bare)

    def test_degraded(self, case: Case) -> None:
        """When the scorer fails, the reply is the engine's own but for the annotation that says so."""
        request = case.searcher(FakeScorer()).request("shoe", size=5)
        outcome = case.searcher(FakeScorer(error=ScorerError("down"))).send(request)
        bare = case.searcher(FakeScorer()).send(request, rerank=False)
        assert ids(outcome) == ids(bare)
        assert [hit.score for hit in outcome.page] == [hit.candidate.score for hit in bare.page]
        assert '"degraded"' in json.dumps(outcome.reply)

    def test_filters_do_not_touch_scores(self, case: Case) -> None:
        """A filter only leaves hits out; what remains keeps its first-stage score."""
        searcher = case.searcher(FakeScorer(favourites))
        scores = {hit.candidate.doc_id: hit.candidate.score for hit in searcher.search("shoe", size=50).page}
        kept = searcher.search("shoe", size=50, filters={"lang": "en"})
        assert sorted(ids(kept)) == sorted(key for key, fields in DOCUMENTS if fields["lang"] == "en")
        assert all(hit.candidate.score == pytest.approx(scores[hit.candidate.doc_id]) for hit in kept.page)

    @pytest.mark.parametrize("garbage", [None, [], "<html>", {"error": "x"}, {"hits": 3}, {"hits": {"hits": [{}]}}])
    def test_garbage_is_refused(self, case: Case, garbage: Any) -> None:
        """What is no reply is an error that shows it, never a wrong order."""
        searcher = case.searcher(FakeScorer())
        case_engine = searcher.engine

        class Broken:
            def search(self, _request: Any) -> Any:
                return garbage

            def __getattr__(self, name: str) -> Any:
                return getattr(case_engine, name)

        searcher.engine = Broken()  # type: ignore[assignment]
        with pytest.raises(BadReply):
            searcher.search("shoe")

    def test_many_tasks_share_a_searcher(self, case: Case) -> None:
        """Searches in many tasks at once give what each gives alone."""
        searcher = case.searcher(FakeScorer(favourites))
        alone = ids(searcher.search("shoe", size=9))

        async def many() -> list[Any]:
            request = searcher.request("shoe", size=9)
            return await asyncio.gather(*(searcher.send_async(request) for _ in range(20)))

        assert all(ids(outcome) == alone for outcome in asyncio.run(many()))

    def test_one_request_serves_several_pipelines(self, case: Case) -> None:
        """Evaluation asks the engine once for pipelines of different windows and passages; each sees its own reply."""
        scorers = FakeScorer(lambda query, passage: float(sum(map(ord, query + passage)) % 7))
        searchers = [
            case.searcher(scorers, annotate="none", rank_window=window, passage=PassageTemplate(template))
            for window, template in ((8, "{title}"), (3, "{text}"), (50, "{lang} {title}"))
        ]
        request = searchers[0].request("shoe", size=9)
        shared = SharedFetch(case.engine, request, [searcher.pipeline for searcher in searchers])
        for searcher in searchers:
            alone, together = searcher.send(request), shared.search(searcher.pipeline, scorers).outcome
            assert [hit.score for hit in together.page] == [hit.score for hit in alone.page]
            assert ids(together) == ids(alone)
            assert _without_times(together.reply) == _without_times(alone.reply)
        bare = searchers[0].send(request, rerank=False)
        found = shared.search(searchers[0].pipeline, rerank=False)
        assert ids(found.outcome) == ids(bare)
        assert _without_times(found.outcome.reply) == _without_times(bare.reply)
        assert len(found.window) == 8

    def test_documents_come_and_go(self, case: Case) -> None:
        """Documents are counted, looked up, replaced and removed by id."""
        assert case.engine.count() == len(DOCUMENTS)
        assert case.engine.get("d3") == DOCUMENTS[3][1]
        case.engine.add([("d3", {"title": "boot", "text": "boot", "lang": "fr"})])
        assert case.engine.get("d3") == {"title": "boot", "text": "boot", "lang": "fr"}
        assert case.engine.delete(["d3", "d4", "nobody"]) == 2
        assert case.engine.count() == len(DOCUMENTS) - 2
        assert case.engine.get("d3") is None
        assert case.engine.check() == []

    def test_every_document_is_read_once(self, case: Case) -> None:
        """All documents can be read one after the other, and give the passages that searches give."""
        template = PassageTemplate("{title} {lang}")
        read = {key: template.build(source) for key, source in case.engine.scan(template.fields)}
        assert read.keys() == dict(DOCUMENTS).keys()
        outcome = case.searcher(FakeScorer(), passage=template).search("shoe", size=50)
        assert read == {hit.candidate.doc_id: template.build(hit.candidate.source) for hit in outcome.page}

    def test_facts(self, case: Case) -> None:
        """The engine names itself and the fields that queries and passages may name."""
        facts = case.engine.facts()
        assert facts.product
        assert facts.fields["title"] == facts.fields["text"] == TEXT
        assert "lang" in facts.fields
        assert facts.max_window is None or facts.max_window > 0
