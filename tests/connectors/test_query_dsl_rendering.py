"""Reranked hits in the replies of Elasticsearch and OpenSearch: all else is as the engine gave it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rebridge.models import RankedHit
from rebridge_query_dsl.request import Request

from .recordings import CONNECTORS, PLAN, Recorded


@pytest.fixture(params=list(CONNECTORS))
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param)


@pytest.mark.parametrize("name", ["plain", "no_total", "matched_queries", "collapse"])
def test_render(recorded: Recorded, name: str) -> None:
    """Hits change places and scores; all else stays, down to the order of keys."""
    reply, turned = recorded.reply(name), recorded.turned(name)
    expected = [{**hit, "_score": 1 - rank / 10} for rank, hit in enumerate(reversed(reply["hits"]["hits"]), start=1)]
    assert json.dumps(turned["hits"]["hits"]) == json.dumps(expected)
    rest = {**reply, "hits": {**reply["hits"], "max_score": 0.9, "hits": expected}}
    assert json.dumps(turned) == json.dumps(rest)


def test_render_part_of_the_hits(recorded: Recorded) -> None:
    """A page shows its hits and no other, and the highest score of all."""
    reply = recorded.reply("plain")
    rendered = recorded.connector.render(recorded.request("plain"), reply, recorded.page(reply)[1:2], 0.9)
    assert [(hit["_id"], hit["_score"]) for hit in rendered["hits"]["hits"]] == [("2", 0.8)]
    assert rendered["hits"]["max_score"] == 0.9


def test_render_nothing(recorded: Recorded) -> None:
    """A reply without hits stays as it is; its highest score stays null."""
    request, reply = recorded.request("no_hits"), recorded.reply("no_hits")
    assert recorded.connector.render(request, reply, [], None) == reply
    assert recorded.connector.render(request, reply, [], 0.5)["hits"]["max_score"] is None


def test_render_the_engines_own_scores(recorded: Recorded) -> None:
    """Where the engine's scores stand, hits and highest score are left alone."""
    reply = recorded.reply("tie_breaker")
    own = [RankedHit(candidate, candidate.rank, candidate.score) for candidate in recorded.connector.parse(reply, PLAN)]
    assert recorded.connector.render(recorded.request("tie_breaker"), reply, own, None) == reply


def test_render_a_tie_breaker(recorded: Recorded) -> None:
    """The new score also stands among the sort values; whether there is a highest score is the engine's habit."""
    turned = recorded.turned("tie_breaker")
    assert [hit["sort"] for hit in turned["hits"]["hits"]] == [[0.9, 3], [0.8, 2], [0.7, 1]]
    assert turned["hits"]["max_score"] == (None if recorded.product == "elasticsearch" else 0.9)


def asking(recorded: Recorded, name: str, **body: Any) -> Request:
    """The recorded request, had its user asked for these fields."""
    request = recorded.request(name)
    return Request("shop", request.params, {**(request.body or {}), "fields": [], **body})


def test_render_removes_added_fields(recorded: Recorded) -> None:
    """Fields that only the passages need go away, with everything that came along with them."""
    turned = recorded.turned("fields", asking(recorded, "fields"))
    assert turned == recorded.turned("plain") | {"took": turned["took"]}


def test_render_keeps_the_users_fields(recorded: Recorded) -> None:
    """The user's own fields stay, also inside nested documents that hold both kinds."""
    asked = asking(recorded, "user_fields", fields=["comments.who", "ye*"])
    hits = recorded.turned("user_fields", asked)["hits"]["hits"]
    nested: list[dict[str, Any]]
    if recorded.product == "elasticsearch":
        nested = [{}, {"comments": [{"who": ["ann"]}]}, {"comments": [{"who": ["ann"]}, {"who": ["bob"]}]}]
    else:
        nested = [{}, {"comments.who": ["ann"]}, {"comments.who": ["ann", "bob"]}]
    assert [hit["fields"] for hit in hits] == [
        {"year": [year], **inner} for year, inner in zip((3, 2, 1), nested, strict=True)
    ]
    assert not any("ignored_field_values" in hit for hit in hits)


def test_render_keeps_the_fields_of_the_engine(recorded: Recorded) -> None:
    """The value by which hits were collapsed, and fields of engine and plugins, come without being asked for."""
    turned = recorded.turned("collapse", asking(recorded, "collapse"))
    assert [hit["fields"] for hit in turned["hits"]["hits"]] == [{"brand": ["zed"]}, {"brand": ["acme"]}]
    reply = recorded.reply("plain")
    reply["hits"]["hits"][0]["fields"] = {"_percolator_document_slot": [0], "title": ["x"]}
    rendered = recorded.connector.render(recorded.request("plain"), reply, recorded.page(reply)[-1:], 0.9)
    assert rendered["hits"]["hits"][0]["fields"] == {"_percolator_document_slot": [0]}


def test_render_filtered(recorded: Recorded) -> None:
    """The user's `filter_path` is applied to the finished reply."""
    request = recorded.request("plain")
    asked = Request("shop", {"filter_path": ["hits.hits._id", "hits.max_score"]}, request.body)
    assert recorded.turned("plain", asked) == {
        "hits": {"max_score": 0.9, "hits": [{"_id": "3"}, {"_id": "2"}, {"_id": "1"}]}
    }


def test_render_empty_parts_when_excluding() -> None:
    """Excluding keeps empty lists in Elasticsearch, while OpenSearch drops those that a pattern reaches into."""
    for product, kept in (("elasticsearch", {"hits": []}), ("opensearch", {})):
        recorded = Recorded(product)
        asked = Request("shop", {"filter_path": "-hits.hits._id,-took,-hits.total,-hits.max_score"}, {})
        rendered = recorded.connector.render(asked, recorded.reply("no_hits"), [], None)
        assert rendered.get("hits", {}) == kept


def test_render_a_template() -> None:
    """OpenSearch ends replies to templates with a status, which the widened search's reply lacks."""
    recorded = Recorded("opensearch")
    reply = recorded.reply("template")
    widened = {key: value for key, value in reply.items() if key != "status"}
    page = [RankedHit(hit, hit.rank, hit.score) for hit in recorded.connector.parse(widened, PLAN)]
    rendered = recorded.connector.render(recorded.request("template"), widened, page, None)
    assert json.dumps(rendered) == json.dumps(reply)
    assert "status" not in CONNECTORS["elasticsearch"].render(recorded.request("template"), widened, page, None)
