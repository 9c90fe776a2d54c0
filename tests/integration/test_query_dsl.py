"""What users of Elasticsearch and OpenSearch get from rebridge, against what the engine itself answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from rebridge.connector import load
from rebridge.drivers import run
from rebridge.flow import Outcome, rerank_flow
from rebridge.models import PagePlan
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.testing import FakeScorer
from rebridge_query_dsl.filter_path import filtered
from rebridge_query_dsl.request import Request

from .query_dsl_requests import CASES, Case, Product, clear, document, fill

PREFIX = "a_dsl_"
WINDOW = 30
SHOE: dict[str, Any] = {"match": {"text": "shoe red"}}
PLAIN: dict[str, Any] = {"type": "plain", "fields": {"text": {}}}
TEMPLATE = PassageTemplate("{title}\n{text}")
PASSAGES = {TEMPLATE.build(document(number)).text for number in range(40)}


class Refused(Exception):
    """The engine answered with an error, as a client would raise it."""

    def __init__(self, status_code: int, body: Any) -> None:
        # A text may hold the address of an object in Java.
        super().__init__(re.sub("@[0-9a-f]+", "@", json.dumps(body["error"])))
        self.status_code = status_code


@dataclass(frozen=True)
class Engine:
    """A real engine, over plain HTTP."""

    product: Product
    url: str

    def send(self, request: Request) -> Any:
        path = "_search" if request.template is None else "_search/template"
        params = {key: ",".join(value) if isinstance(value, list) else value for key, value in request.params.items()}
        body = request.body if request.template is None else request.template
        url = f"{self.url}/{request.index}/{path}"
        answer = requests.post(url, params=params, json=body, timeout=60)
        if not answer.ok:
            raise Refused(answer.status_code, answer.json())
        return answer.json()

    def rerank(self, request: Request, scorer: FakeScorer, **changes: Any) -> Outcome[Any]:
        pipeline = Pipeline("docs", load(self.product), TEMPLATE, rank_window=WINDOW, annotate="none")
        return run(rerank_flow(request, replace(pipeline, **changes)), self.send, scorer)


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = request.getfixturevalue(f"{request.param}_url")
    fill(url, request.param, PREFIX)
    yield Engine(request.param, url)
    clear(url, PREFIX)


def shuffled(query: str, passage: str) -> float:
    """Scores in no order that the engine knows."""
    del query
    number = passage.split("\n", maxsplit=1)[0].rsplit(maxsplit=1)[-1]
    return float(int(number) * 7 % 41)


def request_of(case: Case, engine: Engine) -> Request:
    if engine.product not in case.products:
        pytest.skip(f"not for {engine.product}")
    return Request(case.target(PREFIX), dict(case.params), case.body)


def without(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in keys}


def steady(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A reply without its hits and what differs each time or is meant to: time, and the highest score's value."""
    head = without(reply, "took", "profile", "hits") | {"profile": "profile" in reply, "took": "took" in reply}
    hits = without(reply.get("hits", {}), "hits")
    if hits.get("max_score") is not None:
        hits["max_score"] = "a number"
    return {**head, "keys": list(reply), "inside": list(reply.get("hits", ())), "hits": hits}


def hits_of(reply: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hits, their scores masked, with the order of their keys."""
    hits = reply.get("hits", {}).get("hits", [])
    masked = [{**hit, "_score": "a number"} if "_score" in hit else hit for hit in hits]
    return [{**hit, "keys": list(hit)} for hit in masked]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reply_in_the_engines_order(engine: Engine, case: Case) -> None:
    """A scorer that finds all passages alike leaves the engine's reply as it is, but for scores."""
    request = request_of(case, engine)
    own = engine.send(request)
    outcome = engine.rerank(request, scorer := FakeScorer(default=1.0))
    assert outcome.summary.status == "applied"
    assert steady(outcome.reply) == steady(own)
    assert hits_of(outcome.reply) == hits_of(own)
    passages = {passage for _, asked in scorer.calls for passage in asked}
    assert passages <= PASSAGES
    if hits_of(own) and (outcome.page[0].rank <= WINDOW):
        assert passages


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reply_in_a_new_order(engine: Engine, case: Case) -> None:
    """Hits come to the page whole from wherever in the rank window they were, and all else stays as it is."""
    request = request_of(case, engine)
    if "filter_path" in request.params:
        pytest.skip("its hits cannot be told apart; the other test compares them")
    everything = {(hit["_index"], hit["_id"]): hit for hit in hits_of(engine.send(whole(request)))}
    outcome = engine.rerank(request, FakeScorer(shuffled))
    assert steady(outcome.reply) == steady(engine.send(request))
    found = hits_of(outcome.reply)
    assert found == [everything[hit["_index"], hit["_id"]] for hit in found]
    scores = [hit["_score"] for hit in outcome.reply["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= outcome.reply["hits"]["max_score"] for score in scores)


def whole(request: Request) -> Request:
    """The same request for all hits."""
    connector = load("elasticsearch")
    asked = connector.read(request)
    wide: Request = connector.widen(request, PagePlan(asked.offset, asked.size, WINDOW, 0, 60))
    return wide


@pytest.mark.parametrize("source", [{"_source": False}, {"_source": ["comments.who"]}, {"stored_fields": ["stored"]}])
def test_passages_without_source(engine: Engine, source: dict[str, Any]) -> None:
    """Passages are the same whether or not the request leaves the documents out: lists, objects, nested documents."""
    template = PassageTemplate("{title}\n{author.name}\n{comments.text}\n{nothing}")
    seen = []
    for body in ({"query": SHOE}, {"query": SHOE, **source}):
        engine.rerank(Request(PREFIX + "shoes", body=body), scorer := FakeScorer(), passage=template)
        seen.append(scorer.calls)
    assert seen[0] == seen[1]
    assert seen[0][0][1][0].count("\n") == 4


def test_tie_breaker(engine: Engine) -> None:
    """Hits sorted by score and something else show their new scores among the sort values too."""
    request = Request(PREFIX + "shoes", body={"query": SHOE, "sort": ["_score", {"year": "desc"}]})
    assert engine.rerank(request, FakeScorer()).summary.reason == "tie_breaker"
    outcome = engine.rerank(request, FakeScorer(shuffled), rerank_also=frozenset({"tie_breaker"}))
    hits = outcome.reply["hits"]["hits"]
    assert [hit["sort"][0] for hit in hits] == [hit["_score"] for hit in hits] == [hit.score for hit in outcome.page]
    assert all(hit["sort"][1] == int(hit["_id"].split("-")[1]) + 2000 for hit in hits)
    assert (outcome.reply["hits"]["max_score"] is None) == (engine.send(request)["hits"]["max_score"] is None)


def test_fallback_without_ids(engine: Engine) -> None:
    """A fallback shows what the user's own request leaves of the reply, even if that is no hits."""
    request = Request(PREFIX + "small", {"filter_path": "hits.total"}, {"query": SHOE})
    outcome = engine.rerank(request, FakeScorer(shuffled))
    assert outcome.summary.reason == "window_refused"
    assert without(outcome.reply, "_rerank") == engine.send(request)


FALLBACKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a limited index": ("small", {"query": SHOE}, "window_refused"),
    "a limited index among others": ("shoes,small", {"query": SHOE}, "shard_failures"),
    "a long text behind the page": ("long", {"query": SHOE, "highlight": PLAIN}, "window_refused"),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_fallback(engine: Engine, name: str) -> None:
    """Where a wider request fails and the user's own does not, the answer is that of the user's own."""
    index, body, reason = FALLBACKS[name]
    request = Request(Case(name, index=index).target(PREFIX), body=body)
    outcome = engine.rerank(request, FakeScorer(shuffled))
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", reason)
    own = engine.send(request)
    assert without(outcome.reply, "took", "_rerank") == without(own, "took")
    assert [hit.candidate.doc_id for hit in outcome.page] == [hit["_id"] for hit in own["hits"]["hits"]]


REFUSED: dict[str, dict[str, Any]] = {
    "unknown query": {"query": {"matsch": {"text": "shoe"}}},
    "unknown key": {"query": SHOE, "nothing": 1},
    "page": {"query": SHOE, "size": -1},
    "window": {"query": SHOE, "from": 10_000},
    "page as text": {"query": SHOE, "from": "five"},
    "field": {"query": {"match": {"year": "shoe"}}},
    "highlight": {"query": SHOE, "size": 25, "highlight": PLAIN},
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_are_the_engines(engine: Engine, name: str) -> None:
    """What the engine says about a wrong request is what it says about the user's own, sizes and all."""
    request = Request(PREFIX + "long", body=REFUSED[name])
    with pytest.raises(Refused) as own:
        engine.send(request)
    with pytest.raises(Refused) as seen:
        engine.rerank(request, FakeScorer())
    assert seen.value.status_code == own.value.status_code
    assert str(seen.value) == str(own.value)


def test_template(engine: Engine) -> None:
    """A template's reply is that of its search, and ends as the engine ends it."""
    if engine.product != "opensearch":
        pytest.skip("this Elasticsearch has no templates")
    template = {"source": '{"query": {"match": {"text": "{{words}}"}}, "size": 4}', "params": {"words": "shoe red"}}
    body = {"query": {"match": {"text": "shoe red"}}, "size": 4}
    params = {"size": "2", "_source": "false", "track_total_hits": "false"}  # the first two count for nothing there
    request = Request(PREFIX + "shoes", params, body, template)
    own = engine.send(request)
    outcome = engine.rerank(request, FakeScorer(default=1.0))
    assert outcome.summary.status == "applied"
    assert steady(outcome.reply) == steady(own)
    assert hits_of(outcome.reply) == hits_of(own)
    assert list(outcome.reply)[-1] == "status"


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"lang": "en"}, range(0, 40, 3)),
        ({"brand": "zed", "year": {"gte": 2030}}, range(31, 40, 2)),
        ({"year": [2001, 2005, 1]}, [1, 5]),
        ({"title": "shoe 7"}, [7]),
        ({"added": "2024-01-02", "brand": ["acme"]}, range(0, 40, 2)),
        ({"year": []}, []),
    ],
)
def test_filters_of_plain_words(engine: Engine, filters: Mapping[str, Any], numbers: Iterable[int]) -> None:
    """A filter's value selects documents in fields of any type, and changes no score."""
    connector = load(engine.product)
    request = connector.request("shoe", fields={"title": 2, "text": 1}, offset=0, size=50, filters=filters)
    found = engine.send(replace(request, index=PREFIX + "shoes"))["hits"]["hits"]
    assert sorted(hit["_id"] for hit in found) == sorted(f"shoes-{number}" for number in numbers)
    request = connector.request("shoe", fields={"title": 2, "text": 1}, offset=0, size=50, filters={})
    scores = {
        hit["_id"]: hit["_score"] for hit in engine.send(replace(request, index=PREFIX + "shoes"))["hits"]["hits"]
    }
    assert [hit["_score"] for hit in found] == [scores[hit["_id"]] for hit in found]


def test_plain_words_without_fields(engine: Engine) -> None:
    """Without fields, words are searched in all that the index searches by default, numbers included."""
    request = load(engine.product).request("shoe", fields={}, offset=0, size=5, filters={})
    assert len(engine.send(replace(request, index=PREFIX + "shoes"))["hits"]["hits"]) == 5


PATTERNS = [
    *("", " took , hits.total", "-", "*", "**", "-*", "-**", "took,-took", "h*.h*._s*re", "*.*.value", "hits..total"),
    *("**.took", "**.total", "**._id", "**.hits._id", "hits.**._id", "**.hits.**._id", "***.title", "**title"),
    *("hits.hits._source.a*", "hits.hits._source.author.name", "-hits.hits._source.author.*", "-**.born"),
    *("hits.hits.fields.author.name", r"hits.hits.fields.author\.name", r"-**.author\.name", "hits.hits.fields.*name"),
    *("hits.hits._source.comments.who", "-hits.hits._source.comments.who", "hits.hits._source.title.x"),
    *("hits.hits,-**.born", "hits.hits._source,-hits.hits._source.*", "-hits.hits.*", "hits.max_score", "hits.hits[0]"),
    *("aggregations.**.key", "-aggregations.**.key", "suggest.**.options", "-suggest.**.x", "-**.options", "-**.x"),
    *("suggest.s.options", "-suggest.s.text", "-hits.hits._source.x", "hits.hits.x"),
]


@pytest.mark.parametrize("words", ["7", "nothing"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_filter_path(engine: Engine, pattern: str, words: str) -> None:
    """Filtering on our side leaves what filtering in the engine leaves, in the same order."""
    if pattern == "-" and engine.product == "opensearch":
        pytest.skip("OpenSearch refuses it")
    body = {
        "query": {"match": {"title": words}},
        "fields": ["author.name", "author.born"],
        "_source": ["title", "author", "comments"],
        "aggs": {"brands": {"terms": {"field": "brand"}}},
        "suggest": {"s": {"text": "zzzz", "term": {"field": "title"}}},
    }
    whole = engine.send(Request(PREFIX + "shoes", body=body))
    own = engine.send(Request(PREFIX + "shoes", {"filter_path": pattern}, body))
    kept = filtered(whole, pattern, keep_empty=engine.product == "elasticsearch")
    assert json.dumps(untimed(kept)) == json.dumps(untimed(own))


def untimed(reply: Mapping[str, Any]) -> dict[str, Any]:
    return {**reply, "took": 0} if "took" in reply else dict(reply)
