"""One request for several pipelines gives each what the engine itself would have given it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rebridge.connector import Connector, Engine, load
from rebridge.drivers import run
from rebridge.errors import BadReply, ConnectorError
from rebridge.evaluation.shared_fetch import SharedFetch
from rebridge.flow import first_stage_flow, rerank_flow
from rebridge.fusion import Fusion
from rebridge.models import PagePlan
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

FIELDS = {"title": "text", "text": "text", "lang": "keyword"}
DOCUMENTS = [
    (
        f"d{number}",
        {"title": f"shoe {number}", "text": "shoe " * (1 + number % 4), "lang": "de" if number % 3 else "en"},
    )
    for number in range(23)
]


def by_number(query: str, passage: str) -> float:
    """Scores that depend on what the template shows."""
    return float((sum(map(ord, passage)) * 31 + len(query)) % 7)


@pytest.fixture(params=["memory", "tantivy"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Connector[Any, Any], Counting]]:
    """A connector and an engine that holds the documents and counts requests."""
    connector: Any = MemoryConnector()
    engine: Any = MemoryEngine()
    if request.param == "tantivy":
        pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
        connector = load("tantivy")
        settings = connector.settings.model_validate({"path": tmp_path / "index", "fields": FIELDS})
        engine = connector.open(settings, create=True)
    engine.add(DOCUMENTS)
    yield connector, Counting(engine)
    engine.close()


class Counting:
    """Counts the requests to an engine, and refuses those for too many hits."""

    def __init__(self, engine: Engine[Any, Any], most: int = 10_000) -> None:
        self.engine, self.asked, self.most = engine, 0, most

    def search(self, request: Any) -> Any:
        self.asked += 1
        if request["size"] > self.most:
            raise ConnectorError("the result window is too large")
        return self.engine.search(request)


class Refusing(MemoryConnector):
    """Knows that an error may come from the size of the window."""

    def refusal(self, answer: Any) -> str | None:
        return "window_refused" if isinstance(answer, ConnectorError) else None


def pipelines(connector: Connector[Any, Any]) -> list[Pipeline]:
    """Pipelines that differ in all that the first stage sees, and in some that it does not."""
    base = Pipeline("docs", connector, PassageTemplate("{title}"), rank_window=8, annotate="full")
    return [
        base,
        replace(base, rank_window=3, passage=PassageTemplate("{text}")),
        replace(base, rank_window=50, passage=PassageTemplate("{title} {lang}")),
        replace(base, fusion=Fusion("replace"), min_rerank_score=2.0),
    ]


def timeless(reply: Any) -> Any:
    """A reply without the times in its annotations."""
    if isinstance(reply, dict):
        return {key: timeless(value) for key, value in reply.items() if not key.endswith("_ms") and key != "took"}
    return [timeless(value) for value in reply] if isinstance(reply, list) else reply


def shown(outcome: Any) -> list[tuple[Any, ...]]:
    """The page's hits, each with its scores."""
    return [
        (
            hit.candidate.doc_id,
            hit.candidate.rank,
            hit.candidate.score,
            hit.rank,
            hit.score,
            hit.rerank_score,
            hit.flags,
        )
        for hit in outcome.page
    ]


@pytest.mark.parametrize("offset", [0, 2, 10])
@pytest.mark.parametrize("size", [1, 5, 10, 40])
def test_same_as_the_engine(index: tuple[Connector[Any, Any], Counting], offset: int, size: int) -> None:
    """Every pipeline's page, reply and terms are those that it has over the engine; the engine is asked once."""
    connector, engine = index
    request = connector.request("shoe 3", fields={"title": 1.0, "text": 1.0}, offset=offset, size=size, filters={})
    shared = SharedFetch(engine, request, pipelines(connector))
    for pipeline in pipelines(connector):
        scorer = FakeScorer(by_number)
        alone = run(rerank_flow(request, pipeline), engine.engine.search, scorer)
        found = shared.search(pipeline, scorer).outcome
        assert shown(found) == shown(alone)
        assert found.terms == alone.terms
        assert timeless(found.reply) == timeless(alone.reply)
        bare = run(first_stage_flow(request, pipeline), engine.engine.search)
        found = shared.search(pipeline, rerank=False).outcome
        assert shown(found) == shown(bare)
        assert timeless(found.reply) == timeless(bare.reply)
    assert engine.asked == 1


def test_window(index: tuple[Connector[Any, Any], Counting]) -> None:
    """The window is told whole, also where the page shows less, and also for the first stage alone."""
    connector, engine = index
    request = connector.request("shoe", fields={"title": 1.0, "text": 1.0}, offset=0, size=2, filters={})
    chosen = pipelines(connector)
    shared = SharedFetch(engine, request, chosen)
    whole = connector.parse(engine.search({**request, "size": 23}), PagePlan(0, 23, 0, 0, 23))
    for pipeline in chosen:
        for rerank in (True, False):
            window = shared.search(pipeline, FakeScorer(), rerank=rerank).window
            assert [hit.doc_id for hit in window] == [hit.doc_id for hit in whole[: pipeline.rank_window]]


def test_refused_windows_are_not_shared() -> None:
    """If the widest request is refused, each pipeline asks itself: only those with too wide a window are degraded."""
    engine = Counting(MemoryEngine(dict(DOCUMENTS)), most=20)
    chosen = pipelines(Refusing())
    request = {"query": "shoe", "from": 0, "size": 5}
    shared = SharedFetch(engine, request, chosen)  # type: ignore[arg-type]
    found = [shared.search(pipeline, FakeScorer(by_number)) for pipeline in chosen]
    assert [each.outcome.summary.status for each in found] == ["applied", "applied", "degraded", "applied"]
    alone = run(rerank_flow(request, chosen[1]), engine.engine.search, FakeScorer(by_number))
    assert shown(found[1].outcome) == shown(alone)
    assert len(found[0].window) == 8


def test_bypassed_requests_keep_their_hits() -> None:
    """A request that passes through is sent as it is, and its hits are told in the engine's order."""
    engine = Counting(MemoryEngine(dict(DOCUMENTS)))
    (pipeline, *_) = pipelines(MemoryConnector())
    shared = SharedFetch(engine, {"query": "shoe", "size": 5, "sort": "title"}, [pipeline])  # type: ignore[arg-type]
    outcome = shared.search(pipeline, FakeScorer(by_number)).outcome
    assert (outcome.summary.status, outcome.summary.reason) == ("bypassed", "own_sort")
    assert [hit.candidate.rank for hit in outcome.page] == [1, 2, 3, 4, 5]


def test_failures_of_the_engine_are_raised() -> None:
    """An engine that does not answer, or not with a reply, is an error."""
    (pipeline, *_) = pipelines(MemoryConnector())

    class Broken:
        def search(self, _request: Any) -> Any:
            return "<html>"

    request = {"query": "shoe", "size": 5}
    with pytest.raises(ConnectorError):
        SharedFetch(Counting(MemoryEngine(), most=1), request, [pipeline])  # type: ignore[arg-type]
    shared = SharedFetch(Broken(), request, [replace(pipeline, on_error="raise")])  # type: ignore[arg-type]
    with pytest.raises(BadReply):
        shared.search(replace(pipeline, on_error="raise"), FakeScorer())
