"""What the playground's page is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer
from rebridge.server.pipelines import playground_pipelines, read_pipelines
from rebridge.server.playground import Shelf
from rebridge.server.settings import ServerSettings
from rebridge.testing import MemoryEngine

from .playing import BOOTS, HOSTILE, Away, Held, by_length, playground, shelf

HERE = "http://127.0.0.1"


class Named(FakeScorer):
    """A fallback."""

    name = "second"


def client(app: ASGIApp, host: str = HERE) -> TestClient:
    return TestClient(app, base_url=host)


def search(app: ASGIApp, query: str = "boots", **question: Any) -> httpx.Response:
    return client(app).post("/playground/search", json={"pipeline": "shop", "query": query, **question})


def found(app: ASGIApp, query: str = "boots", **question: Any) -> Any:
    answer = search(app, query, **question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: Any, order: str) -> list[str]:
    return [answer["hits"][place]["id"] for place in answer[order]]


def test_both_orders_from_one_request() -> None:
    """The engine is asked once, and both orders are told."""
    engine = MemoryEngine(BOOTS)
    answer = found(playground(shelf({"shop": engine}, fusion={"method": "replace"})))
    assert len(engine.requests) == 1
    assert ids(answer, "first_stage") == ["a", "b", "c"]
    assert ids(answer, "reranked") == ["c", "a", "b"]
    assert answer["summary"] | {"engine_ms": 0, "scorer_ms": 0, "total_ms": 0} == {
        "status": "applied", "reason": None, "model": "fake", "rank_window": 20, "scored": 3, "dropped": 0,
        "engine_ms": 0, "scorer_ms": 0, "total_ms": 0,
    }  # fmt: skip


def test_what_a_hit_tells() -> None:
    """A hit comes with what the model read and with every score and place."""
    hit = found(playground(shelf({"shop": MemoryEngine(BOOTS)})))["hits"][2]
    assert hit == {
        "id": "c", "title": "boots", "passage": "boots\nfor walks through deep snow", "passage_length": 33,
        "first_stage_rank": 3, "first_stage_score": 1.0, "rank": 1, "score": 2.6, "rerank_score": 33.0,
        "windows": [33.0], "first_stage_share": 0.0, "rerank_share": 0.6, "flags": [],
    }  # fmt: skip


def test_the_same_as_the_pipeline_serves() -> None:
    """The reranked list is what the pipeline answers, page by page."""
    documents = {str(n): {"title": "word " * (n % 7 + 1), "text": "x" * (n * 37 % 50)} for n in range(40)}
    pipelines = shelf({"shop": MemoryEngine(documents)})
    app = playground(pipelines)
    for offset in (0, 10, 20, 30):
        page = pipelines.searcher("shop").search("word", offset=offset).page
        assert ids(found(app, "word", offset=offset), "reranked") == [hit.candidate.doc_id for hit in page]


def test_hits_from_other_pages() -> None:
    """A hit that reranking brought up or down is told with its place in the other list, also on another page."""
    answer = found(playground(shelf({"shop": MemoryEngine(BOOTS)}, fusion={"method": "replace"})), size=1)
    assert [(hit["id"], hit["first_stage_rank"], hit["rank"]) for hit in answer["hits"]] == [("a", 1, 2), ("c", 3, 1)]
    assert (answer["first_stage"], answer["reranked"], answer["fetched"]) == ([0], [1], 3)


def test_removed_hits() -> None:
    """A hit that was removed for its low model score stays in the engine's list, without a final place."""
    answer = found(playground(shelf({"shop": MemoryEngine(BOOTS)}, min_rerank_score=17)))
    assert [(hit["id"], hit["rank"]) for hit in answer["hits"]] == [("a", 2), ("b", None), ("c", 1)]
    assert ids(answer, "reranked") == ["c", "a"]
    assert answer["summary"]["dropped"] == 1


@pytest.mark.parametrize(
    ("scorer", "reason"), [(FakeScorer(error=ScorerError("the path /secret")), "scorer_failed"), (None, "deadline")]
)
def test_degraded(scorer: FakeScorer | None, reason: str) -> None:
    """Without scores both lists have the engine's order, and the reason is told, but nothing of the machine."""
    scorers = [scorer or FakeScorer(hangs=True)]
    answer = search(playground(shelf({"shop": MemoryEngine(BOOTS)}, scorers, deadline_ms=50)))
    value = answer.json()
    assert (value["summary"]["status"], value["summary"]["reason"]) == ("degraded", reason)
    assert ids(value, "reranked") == ids(value, "first_stage") == ["a", "b", "c"]
    assert "secret" not in answer.text


def test_fallback() -> None:
    """Where a fallback answers, its name is told."""
    scorers = [FakeScorer(error=ScorerError("gone")), Named(by_length)]
    summary = found(playground(shelf({"shop": MemoryEngine(BOOTS)}, scorers)))["summary"]
    assert (summary["status"], summary["reason"], summary["model"]) == ("applied", "fallback", "second")


def test_failures() -> None:
    """What cannot be answered is told with its reason and the cure."""
    away = playground(shelf({"shop": Away()}))
    strict = playground(shelf({"shop": MemoryEngine(BOOTS)}, [FakeScorer(error=ScorerError("gone"))], on_error="raise"))
    no_reply = MemoryEngine(BOOTS)
    no_reply.search = lambda request: {"secret": 1}  # type: ignore[method-assign, assignment]
    told = [search(app) for app in (away, strict, playground(shelf({"shop": no_reply})), playground(shelf({})))]
    assert [answer.status_code for answer in told] == [502, 503, 502, 404]
    reasons = [answer.json()["error"]["reason"] for answer in told]
    assert reasons == ["engine", "scorer_failed", "bad_reply", "unknown_pipeline"]
    assert "start it" in told[0].text
    assert "secret" not in told[2].text


def test_an_engine_comes_back() -> None:
    """A connection that could not be made is tried again."""
    good, calls = shelf({"shop": MemoryEngine(BOOTS)}), []

    def opened(name: str, config: Any, scorers: Any) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise OSError("refused")
        return good.searcher(name)

    again = Shelf(good.configs, lambda _: FakeScorer(), opened)
    with pytest.raises(OSError, match="refused"):
        again.searcher("shop")
    assert again.searcher("shop") is again.searcher("shop")
    assert len(calls) == 2


@pytest.mark.parametrize(
    "question",
    [{"query": "  "}, {"query": "x" * 2001}, {"size": 0}, {"size": 51}, {"offset": -1}, {"offset": 951}, {"no": 1}],
)
def test_wrong_questions(question: dict[str, Any]) -> None:
    """A question that is wrong is refused in the server's own words, before the engine is asked."""
    engine = MemoryEngine(BOOTS)
    answer = client(playground(shelf({"shop": engine}))).post(
        "/playground/search", json={"pipeline": "shop", "query": "boots", **question}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["reason"] == "bad_request"
    assert engine.requests == []


def test_hostile_documents() -> None:
    """Whatever documents hold, they come as JSON text, and huge ones are cut."""
    hits = {hit["id"]: hit for hit in found(playground(shelf({"shop": MemoryEngine(HOSTILE)})), "word")["hits"]}
    assert hits.keys() == HOSTILE.keys()
    assert hits["script"]["title"].startswith("<script>")
    assert (hits["huge"]["passage_length"], len(hits["huge"]["passage"])) == (255_005, 8000)
    assert len(hits["huge"]["title"]) == 300
    assert hits["<b>id</b>"]["title"] == ""
    assert hits["odd"]["flags"] == ["replaced_characters"]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers(score: float) -> None:
    """Scores that are not finite become null, since JSON has no other word for them."""
    answer = search(playground(shelf({"shop": MemoryEngine(BOOTS)}, [FakeScorer({"boots boots\nwarm": score})])))
    hits = json.loads(answer.text, parse_constant=pytest.fail)["hits"]
    assert [hit["rerank_score"] for hit in hits] == [0.0, None, 0.0]


def test_pipelines() -> None:
    """The page learns which pipelines there are, and whether their models are in memory."""
    for loaded in (True, False, None):
        app = playground(shelf({"shop": MemoryEngine(BOOTS)}, min_rerank_score=0.5), loaded=loaded)
        assert client(app).get("/playground/pipelines").json()["pipelines"] == [
            {
                "name": "shop", "engine": "tantivy", "model": "sentence-transformers/all-MiniLM-L6-v2",
                "loaded": loaded, "rank_window": 20, "fusion": "weighted", "min_rerank_score": 0.5,
            }
        ]  # fmt: skip


def test_new_pipelines() -> None:
    """After a reload the new pipelines are searched."""
    shelves = [shelf({"shop": MemoryEngine(BOOTS)})]
    app = playground(lambda: shelves[-1])
    assert found(app)["fetched"] == 3
    shelves.append(shelf({"shop": MemoryEngine({"d": {"title": "boots"}})}))
    assert found(app)["fetched"] == 1


def test_which_pipelines(tmp_path: Path) -> None:
    """The playground has the proxies' pipelines first, then all others that can be read, and none if it is off."""
    (tmp_path / "alpha.yaml").write_text("connector: {name: elasticsearch}\n")
    (tmp_path / "shop.yaml").write_text("connector: {name: solr}\n")
    proxies = [{"engine": "solr", "url": "http://localhost:8983", "listen": "127.0.0.1:0"}]
    settings = ServerSettings.model_validate({"proxies": proxies})
    proxied = read_pipelines(settings, tmp_path)
    (tmp_path / "broken.yaml").write_text("connector: [")
    assert list(playground_pipelines(settings, tmp_path, proxied)) == ["shop", "alpha", "demo"]
    assert playground_pipelines(settings.model_copy(update={"playground": False}), tmp_path, proxied) == {}


def test_a_client_that_leaves() -> None:
    """A search that nobody waits for any more is given up."""
    engine = Held(BOOTS)
    app = playground(shelf({"shop": engine}, [scorer := FakeScorer(by_length)]))

    async def leave() -> None:
        body = json.dumps({"pipeline": "shop", "query": "slow boots"}).encode()
        messages = iter([{"type": "http.request", "body": body}, {"type": "http.disconnect"}])
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/playground/search",
            "headers": headers,
            "query_string": b"",
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        await asyncio.wait_for(app({**scope, "http_version": "1.1", "server": ("localhost", 80)}, receive, send), 10)
        assert sent[0]["status"] == 499
        engine.go.set()

    asyncio.run(leave())
    assert scorer.calls == []
