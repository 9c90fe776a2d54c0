"""The rules that users rely on, over every connector and its real engine."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rebridge.connector import Connector, Engine, load
from rebridge.errors import BadReply, ScorerError
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryConnector

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


def _memory(_folder: Path) -> Case:
    connector = MemoryConnector()
    return Case(connector, connector.open(connector.settings()))  # type: ignore[arg-type]


def _tantivy(folder: Path) -> Case:
    pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
    connector = load("tantivy")
    fields = {"title": "text", "text": "text", "lang": "keyword"}
    settings = connector.settings.model_validate({"path": folder / "index", "fields": fields})
    return Case(connector, connector.open(settings, create=True))


@pytest.fixture(params=[_memory, _tantivy], ids=["memory", "tantivy"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    case: Case = request.param(tmp_path)
    assert case.engine.add(DOCUMENTS) == len(DOCUMENTS)
    yield case
    case.engine.close()


def favourites(query: str, passage: str) -> float:
    """Scores that turn the first stage's order round, with ties."""
    del query
    return float(int(passage.rsplit(maxsplit=1)[-1]) % 5)


def ids(outcome: Any) -> list[str]:
    return [hit.candidate.doc_id for hit in outcome.page]


def test_pages_are_the_ranking(case: Case) -> None:
    """Pages of any size, put together, are the ranking: each document once, scores never rising."""
    searcher = case.searcher(FakeScorer(favourites))
    whole = searcher.search("shoe", size=50)
    assert sorted(ids(whole)) == sorted(key for key, _ in DOCUMENTS)
    scores = [hit.score for hit in whole.page]
    assert scores == sorted(scores, reverse=True)
    for size in (1, 3, 7, 8, 9, 20):
        pages = [searcher.search("shoe", offset=start, size=size) for start in range(0, 30, size)]
        assert [key for page in pages for key in ids(page)] == ids(whole)
        assert [hit.score for page in pages for hit in page.page] == scores


def test_window_boundary(case: Case) -> None:
    """The head is the engine's own first hits in another order; the tail is untouched."""
    searcher = case.searcher(FakeScorer(favourites))
    before, after = ids(searcher.search("shoe", size=50, rerank=False)), ids(searcher.search("shoe", size=50))
    assert after != before
    assert sorted(after[:8]) == sorted(before[:8])
    assert after[8:] == before[8:]


def test_requests_and_replies_are_never_changed(case: Case) -> None:
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


def test_nothing_else_changes(case: Case) -> None:
    """But for order, scores and annotations the reply is the one that the engine gives without rebridge."""
    searcher = case.searcher(FakeScorer(favourites), annotate="none", rank_window=50)
    request = searcher.request("shoe", size=50)
    bare, reranked = case.engine.search(request), searcher.send(request).reply

    def comparable(value: Any) -> Any:
        """Scores and times left out, hits in the order of their text."""
        if isinstance(value, dict):
            left_out = {"score", "_score", "max_score", "took"}
            return {key: comparable(inner) for key, inner in value.items() if key not in left_out}
        return sorted((comparable(inner) for inner in value), key=repr) if isinstance(value, list) else value

    assert comparable(reranked) == comparable(bare)


def test_degraded(case: Case) -> None:
    """When the scorer fails, the reply is the engine's own but for the annotation that says so."""
    request = case.searcher(FakeScorer()).request("shoe", size=5)
    outcome = case.searcher(FakeScorer(error=ScorerError("down"))).send(request)
    bare = case.searcher(FakeScorer()).send(request, rerank=False)
    assert ids(outcome) == ids(bare)
    assert [hit.score for hit in outcome.page] == [hit.candidate.score for hit in bare.page]
    assert '"degraded"' in json.dumps(outcome.reply)


def test_filters_do_not_touch_scores(case: Case) -> None:
    """A filter only leaves hits out; what remains keeps its first-stage score."""
    searcher = case.searcher(FakeScorer(favourites))
    scores = {hit.candidate.doc_id: hit.candidate.score for hit in searcher.search("shoe", size=50).page}
    kept = searcher.search("shoe", size=50, filters={"lang": "en"})
    assert sorted(ids(kept)) == sorted(key for key, fields in DOCUMENTS if fields["lang"] == "en")
    assert all(hit.candidate.score == pytest.approx(scores[hit.candidate.doc_id]) for hit in kept.page)


@pytest.mark.parametrize("garbage", [None, [], "<html>", {"error": "x"}, {"hits": 3}, {"hits": {"hits": [{}]}}])
def test_garbage_is_refused(case: Case, garbage: Any) -> None:
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


def test_many_tasks_share_a_searcher(case: Case) -> None:
    """Searches in many tasks at once give what each gives alone."""
    searcher = case.searcher(FakeScorer(favourites))
    alone = ids(searcher.search("shoe", size=9))

    async def many() -> list[Any]:
        request = searcher.request("shoe", size=9)
        return await asyncio.gather(*(searcher.send_async(request) for _ in range(20)))

    assert all(ids(outcome) == alone for outcome in asyncio.run(many()))


def test_documents_come_and_go(case: Case) -> None:
    """Documents are counted, looked up, replaced and removed by id."""
    assert case.engine.count() == len(DOCUMENTS)
    assert case.engine.get("d3") == DOCUMENTS[3][1]
    case.engine.add([("d3", {"title": "boot", "text": "boot", "lang": "fr"})])
    assert case.engine.get("d3") == {"title": "boot", "text": "boot", "lang": "fr"}
    assert case.engine.delete(["d3", "d4", "nobody"]) == 2
    assert case.engine.count() == len(DOCUMENTS) - 2
    assert case.engine.get("d3") is None
    assert case.engine.check() == []
