"""Replies of Elasticsearch and OpenSearch: candidates out of them, notes into them, and what they mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rebridge import notes
from rebridge.errors import BadReply
from rebridge.models import PagePlan, RankedHit, Summary
from rebridge.passages import PassageTemplate
from rebridge_query_dsl.replies import ItemError

from .recordings import CONNECTORS, PLAN, Recorded

SUMMARY = Summary("applied", rank_window=100, scored=3)


@pytest.fixture(params=list(CONNECTORS))
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param)


def test_candidates(recorded: Recorded) -> None:
    """Hits come in the engine's order, ranks counted over all pages."""
    reply = recorded.reply("plain")
    found = recorded.connector.parse(reply, PagePlan(20, 10, 10, 20, 10))
    assert [(hit.doc_id, hit.rank, hit.position) for hit in found] == [("1", 21, 0), ("2", 22, 1), ("3", 23, 2)]
    assert [hit.score for hit in found] == [hit["_score"] for hit in reply["hits"]["hits"]]
    assert found[0].source == {"brand": "acme"}


def test_passages_from_fields(recorded: Recorded) -> None:
    """Values that came by `fields` are found by name, nested ones too, whichever way the engine writes them."""
    template = PassageTemplate("{title}: {comments.text}, {short}, {brand}")
    found = recorded.connector.parse(recorded.reply("fields"), PLAN)
    texts = [template.build(candidate.source).text for candidate in found]
    # OpenSearch does not give values that are too long for a keyword field.
    long = "long word" if recorded.product == "elasticsearch" else ""
    assert texts == [f"red shoe: good\nbad, {long}, acme", "red shoe shoe: nice, ok, zed", "blue shoe: , ok, acme"]


def test_no_score(recorded: Recorded) -> None:
    """A hit without a score has the score 0."""
    (hit,) = recorded.connector.parse(recorded.reply("sorted_by_year"), PLAN)
    assert hit.score == 0.0


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "no list hits.hits"),
    "text": ("---\ntook: 1", "no list hits.hits"),
    "error": ({"error": {}, "status": 400}, "no list hits.hits"),
    "filtered": ({"hits": {"total": {"value": 3}}}, "no list hits.hits"),
    "no list": ({"hits": {"hits": {}}}, "no list hits.hits"),
    "no object": ({"hits": {"hits": [{"_id": "1", "_score": 1.0}, "x"]}}, "hit 2 is no object"),
    "no id": ({"hits": {"hits": [{"_score": 1.0}]}}, "hit 1 has no _id"),
    "odd score": ({"hits": {"hits": [{"_id": "1", "_score": "high"}]}}, "hit 1 has the _score 'high'"),
    "no number": ({"hits": {"hits": [{"_id": "1", "_score": float("nan")}]}}, "hit 1 has the _score nan"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_replies(recorded: Recorded, name: str) -> None:
    """What is no search reply is refused with what is wrong about it."""
    reply, problem = BAD[name]
    with pytest.raises(BadReply, match=problem) as error:
        recorded.connector.parse(reply, PLAN)
    assert recorded.product in str(error.value)


def test_hits_without_ids(recorded: Recorded) -> None:
    """`stored_fields: _none_` leaves hits without ids, which cannot be told apart."""
    with pytest.raises(BadReply, match="no _id"):
        recorded.connector.parse(recorded.reply("stored_fields_none"), PLAN)


def test_annotate(recorded: Recorded) -> None:
    """A summary stands in the reply and a note on each hit; all else stays."""
    reply = recorded.reply("plain")
    page = [RankedHit(hit, hit.rank, hit.score) for hit in recorded.connector.parse(reply, PLAN)]
    told = recorded.connector.annotate(reply, SUMMARY, page)
    assert told.pop(notes.KEY) == notes.of_summary(SUMMARY)
    assert [hit.pop(notes.KEY) for hit in told["hits"]["hits"]] == [notes.of_hit(hit) for hit in page]
    assert told == reply == recorded.reply("plain")


@pytest.mark.parametrize("reply", [None, "---", [1], b""])
def test_annotate_what_is_no_object(recorded: Recorded, reply: Any) -> None:
    """A reply that cannot carry notes is handed on as it is."""
    assert recorded.connector.annotate(reply, SUMMARY, []) is reply


def test_annotate_a_filtered_reply(recorded: Recorded) -> None:
    """Hits that a filter has changed in number are left alone."""
    page = recorded.page(recorded.reply("plain"))
    for reply in ({"took": 1}, {"hits": {"hits": [{"_score": 1.0}]}}):
        told = recorded.connector.annotate(reply, SUMMARY, page)
        assert told == {**reply, notes.KEY: notes.of_summary(SUMMARY)}


class ApiError(Exception):
    """As elasticsearch.ApiError and opensearchpy.TransportError."""

    def __init__(self, status_code: Any) -> None:
        self.status_code = status_code


class MetaError(Exception):
    """As an error that has its status in the response's metadata alone."""

    def __init__(self, status: int) -> None:
        self.meta = SimpleNamespace(status=status)


REFUSALS: list[tuple[Exception, str | None]] = [
    *((ApiError(status), "window_refused") for status in (400, 500)),
    *((MetaError(status), "window_refused") for status in (400, 500)),
    *((ApiError(status), None) for status in (401, 403, 404, 408, 429, 502, 503, 504, "N/A", "TIMEOUT", None)),
    (ItemError({"error": {"reason": "too large"}, "status": 400}), "window_refused"),
    (ItemError({"error": "no index", "status": 404}), None),
    (ConnectionError("refused"), None),
    (TimeoutError(), None),
]


@pytest.mark.parametrize(("error", "reason"), REFUSALS)
def test_refused(recorded: Recorded, error: Exception, reason: str | None) -> None:
    """Only what the window may have caused is a reason to ask for less: limits and documents that cannot be shown."""
    assert recorded.connector.refusal(error) == reason


def test_partial_replies(recorded: Recorded) -> None:
    """A reply that lacks a part of the index says so; a whole one, and one that says nothing, is sound."""
    assert recorded.connector.refusal(recorded.reply("shard_failures")) == "shard_failures"
    for reply in (recorded.reply("plain"), {}, {"_shards": {"failed": "?"}}, None, "---"):
        assert recorded.connector.refusal(reply) is None


def test_item_error() -> None:
    """The error of one search of many keeps what the engine said of it."""
    error = ItemError({"error": {"reason": "too large"}, "status": 400})
    assert (error.item["status"], error.status_code) == (400, 400)
    assert str(error) == "the engine answered one search with status 400: too large"


def test_request_for_plain_words(recorded: Recorded) -> None:
    """Words go over the weighted fields, and filters beside them where they change no score."""
    filters = {"lang": "en", "year": {"gte": 2}, "brand": ["acme", "zed"], "none": []}
    request = recorded.connector.request("red", fields={"title": 2, "text": 0.5}, offset=3, size=4, filters=filters)
    assert request.index is None
    query = request.body["query"]["bool"]
    assert query["must"][0]["multi_match"]["fields"] == ["title^2", "text^0.5"]
    either = [{"match_phrase": {"brand": "acme"}}, {"match_phrase": {"brand": "zed"}}]
    assert query["filter"] == [
        {"match_phrase": {"lang": "en"}},
        {"range": {"year": {"gte": 2}}},
        {"bool": {"should": either, "minimum_should_match": 1}},
        {"match_none": {}},
    ]
    asked = recorded.connector.read(request)
    assert (asked.query_text, asked.offset, asked.size, asked.bypass, asked.doubts) == ("red", 3, 4, None, ())
