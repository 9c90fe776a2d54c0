"""Solr's replies, taken apart and put together again."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pysolr
import pytest

from rebridge import notes
from rebridge.errors import BadReply, ConnectorError
from rebridge.models import Candidate, PagePlan, RankedHit, Summary
from rebridge.remote import EngineError
from rebridge_solr import CONNECTOR, Defaults, Request
from rebridge_solr.request import Reply

PLAN = PagePlan(0, 2, 3, 0, 3, ("title", "text"))
HITS: list[dict[str, Any]] = [
    {"id": f"d{n}", "_rebridge_id_": f"d{n}", "_rebridge_score_": 3.0 - n, "_rebridge_0_": f"shoe {n}", "text": "x"}
    for n in range(3)
]


def reply(hits: Any = None, **parts: Any) -> dict[str, Any]:
    found = {"numFound": 3, "start": 0, "maxScore": 3.0, "docs": HITS if hits is None else hits}
    return {"responseHeader": {"status": 0}, "response": found, **parts}


def render(
    answer: Any, params: Any = None, order: tuple[int, ...] = (2, 0), best: float | None = 9.0, **more: Any
) -> Any:
    candidates = CONNECTOR.parse(answer, PLAN)
    page = [RankedHit(candidates[place], rank, 9.0 - rank) for rank, place in enumerate(order, start=1)]
    before = copy.deepcopy(answer)
    rendered = CONNECTOR.render(Request({"q": "a", **(params or {})}, **more), answer, page, best)
    assert answer == before
    return rendered


def test_candidates() -> None:
    """Hits come with id, score, rank over all pages, and the fields of passages under their own names."""
    candidates = CONNECTOR.parse(reply(), PagePlan(20, 2, 3, 20, 3, PLAN.fields))
    assert candidates[1] == Candidate("d1", 2.0, 22, 1, {"id": "d1", "title": "shoe 1", "text": "x"})


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "<html>",
        [],
        {},
        {"error": {"code": 400}},
        {"response": None},
        {"response": {"docs": None}},
        {"response": {"docs": ["d1"]}},
        {"grouped": {}},
        {"response": {"docs": [{"title": "no id", "_rebridge_score_": 1.0}]}},
        {"response": {"docs": [{"_rebridge_id_": "no score"}]}},
        {"response": {"docs": [{"_rebridge_id_": "a", "_rebridge_score_": "NaN"}]}},
    ],
)
def test_garbage(garbage: Any) -> None:
    """What is no reply, or lacks what a ranking needs, is an error that shows it."""
    with pytest.raises(BadReply, match="solr answered"):
        CONNECTOR.parse(garbage, PLAN)


def test_own_requests_need_no_ids() -> None:
    """The reply to a user's own request may lack ids and scores."""
    own = PagePlan(0, 2, 3, 0, 2)
    bare = {"response": {"docs": [{"title": "a"}, {"id": 7, "score": 2.0}]}}
    assert [(hit.doc_id, hit.score) for hit in CONNECTOR.parse(bare, own)] == [("", 0.0), ("7", 2.0)]
    keyed = Reply({"response": {"docs": [{"sku": 7, "score": 2.0}]}}, Defaults(unique_key="sku"))
    assert CONNECTOR.parse(keyed, own)[0].doc_id == "7"


@pytest.mark.parametrize(
    ("fl", "shown", "best"),
    [
        (None, {}, False),
        ("id", {}, False),
        ("*,score", {"score": 8.0}, True),
        ("rel:score", {"rel": 8.0}, True),
        ("score rel:score", {"score": 8.0, "rel": 8.0}, True),
    ],
)
def test_scores(*, fl: str | None, shown: dict[str, float], best: bool) -> None:
    """Final scores stand where the user asked for scores, and nowhere else."""
    own = {"score": 1.0} if fl and "score" in fl.replace("rel:score", "") else {}
    own |= {"rel": 1.0} if fl and "rel" in fl else {}
    answer = reply([{**hit, **own} for hit in HITS])
    response = render(answer, {} if fl is None else {"fl": fl})["response"]
    assert response["docs"][0] == {"id": "d2", "text": "x", **shown}
    assert response.get("maxScore") == (9.0 if best else None)
    assert ("maxScore" in response) == best


def test_highest_scores_nobody_asked_for() -> None:
    """Where Solr tells the highest score in any case, as for several shards, it stays, and is the final one."""
    defaults = Defaults(tells_max_score=True)
    assert render(reply(), {"fl": "id"}, defaults=defaults)["response"]["maxScore"] == 9.0
    assert render(Reply(reply(), defaults), {"fl": "id"})["response"]["maxScore"] == 9.0
    assert render(reply(), {"fl": "score"}, best=None)["response"]["maxScore"] == 3.0


def test_parts_are_cut_to_the_page() -> None:
    """What speaks of single hits holds the page's, in their order; whatever else stands there stays."""
    by_key = {f"d{n}": {"text": [str(n)]} for n in range(3)}
    answer = reply(
        highlighting=by_key,
        debug={"explain": by_key, "parsedquery": "a"},
        termVectors=["warnings", ["x"], "d0", [0], "d1", [1], "d2", [2]],
        moreLikeThis={key: {"docs": [{"id": "x", "_rebridge_id_": "x"}], "maxScore": 1.0} for key in by_key},
        facet_counts={"facet_queries": {"_rebridge_like_": 1}},
    )
    rendered = render(answer)
    assert list(rendered["highlighting"]) == ["d2", "d0"]
    assert list(rendered["debug"]["explain"]) == ["d2", "d0"]
    assert rendered["debug"]["parsedquery"] == "a"
    assert rendered["termVectors"] == ["warnings", ["x"], "d2", [2], "d0", [0]]
    assert rendered["moreLikeThis"] == {key: {"docs": [{"id": "x"}]} for key in ("d2", "d0")}
    assert rendered["facet_counts"] == answer["facet_counts"]


@pytest.mark.parametrize(
    ("shape", "part", "cut"),
    [
        ("flat", ["d0", 0, "d1", 1, "d2", 2], ["d2", 2, "d0", 0]),
        ("map", {"d0": 0, "d1": 1, "d2": 2}, {"d2": 2, "d0": 0}),
        ("arrarr", [["d0", 0], ["d1", 1], ["d2", 2]], [["d2", 2], ["d0", 0]]),
        ("arrmap", [{"d0": 0}, {"d1": 1}, {"d2": 2}], [{"d2": 2}, {"d0": 0}]),
        ("arrntv", [{"name": "d0"}, {"name": "d1"}, {"name": "d2"}], [{"name": "d2"}, {"name": "d0"}]),
    ],
)
def test_shapes_of_lists(shape: str, part: Any, cut: Any) -> None:
    """Named lists are cut in whichever shape the request asks for."""
    assert render(reply(termVectors=part), {"json.nl": shape})["termVectors"] == cut


def test_expanded_groups() -> None:
    """Expanded hits are those of the page's groups; hits without a group are one of their own."""
    hits = [{**HITS[0], "_rebridge_group_": 1.5}, {**HITS[1], "_rebridge_group_": "b"}, HITS[2]]
    expanded = {
        name: {
            "numFound": 1,
            "maxScore": 2.0,
            "docs": [{"id": name, "_rebridge_group_": name, "_rebridge_score_": 1.0}],
        }
        for name in ("1.5", "b", "")
    }
    clean = {"numFound": 1, "docs": [{"id": ""}]}
    rendered = render(reply(hits, expanded=expanded))["expanded"]
    assert rendered == {"": clean, "1.5": {**clean, "docs": [{"id": "1.5"}]}}
    assert "maxScore" in render(reply(hits, expanded=expanded), {"fl": "id,score"})["expanded"][""]
    assert render(reply(expanded={"x": {"docs": []}}))["expanded"] == {"x": {"docs": []}}


def test_child_documents() -> None:
    """Documents inside of hits lose our fields too."""
    child = {"id": "c", "_rebridge_id_": "c", "_rebridge_score_": 0.0}
    rendered = render(reply([{**hit, "_childDocuments_": [child]} for hit in HITS]))
    assert rendered["response"]["docs"][0]["_childDocuments_"] == [{"id": "c"}]


@pytest.mark.parametrize(
    ("params", "json", "echo", "expected"),
    [
        (
            {"rows": 2},
            None,
            {"q": "a", "rows": "3", "start": "0", "fl": ["*", "_rebridge_id_:id"]},
            {"q": "a", "rows": "2"},
        ),
        (
            {"rows": ["2", "5"], "fl": "id", "start": 0},
            None,
            {"q": "a", "rows": "3", "start": "0", "fl": ["id", "_rebridge_id_:id"], "wt": "json"},
            {"q": "a", "rows": ["2", "5"], "start": "0", "fl": "id", "wt": "json"},
        ),
        (
            {"fl": "x", "echoParams": "all"},
            None,
            {"q": "a", "fl": ["x", "_rebridge_id_:id", "appended"], "df": "text"},
            {"q": "a", "fl": ["x", "appended"], "df": "text"},
        ),
        (
            {"rows": 7, "echoParams": "all"},
            {"limit": 2, "fields": ["x", "y"]},
            {"q": "a", "rows": "3", "json.limit": "3", "fl": ["_rebridge_id_:id", "x", "y"]},
            {"q": "a", "rows": "2", "fl": ["x", "y"]},
        ),
        (
            {"rows": 7},
            {"limit": 2, "fields": ["x"]},
            {"json": "{}", "rows": "7", "json.limit": "3"},
            {"json": "{}", "rows": "7"},
        ),
    ],
)
def test_echo(params: Any, json: Any, echo: Any, expected: Any) -> None:
    """Echoed parameters are those of the user's own request."""
    answer = {**reply(), "responseHeader": {"status": 0, "params": echo}}
    assert render(answer, params, json=json)["responseHeader"] == {"status": 0, "params": expected}


def test_echo_of_a_handler() -> None:
    """A handler's own defaults are echoed where it echoes everything."""
    defaults = Defaults({"fl": ("x", "y"), "rows": ("30",), "df": ("t",)})
    answer = {**reply(), "responseHeader": {"params": {"rows": "3", "df": "t", "fl": ["x", "y", "_rebridge_id_:id"]}}}
    echo = render(answer, {"rows": 2}, defaults=defaults)["responseHeader"]["params"]
    assert echo == {"rows": "2", "df": "t", "fl": ["x", "y"]}


def test_the_page_starts_where_it_was_asked_to() -> None:
    """The reply tells the user's own offset, whatever slice was fetched."""
    assert render(reply(), {"start": "20"})["response"]["start"] == 20


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (pysolr.SolrError("Solr responded with an error (HTTP 400): [Reason: x]"), "window_refused"),
        (pysolr.SolrError("Solr responded with an error (HTTP 500): [Reason: x]"), "window_refused"),
        (pysolr.SolrError("Solr responded with an error (HTTP 414): [Reason: None]\nx"), "window_refused"),
        (pysolr.SolrError("Request get select/ failed after 5 attempts"), "window_refused"),
        (pysolr.SolrError("Solr responded with an error (HTTP 401): [Reason: x]"), None),
        (pysolr.SolrError("Solr responded with an error (HTTP 503): [Reason: x]"), None),
        (pysolr.SolrError("Failed to connect to server at x"), None),
        (pysolr.SolrError("Failed to connect to server at x/?q=Solr responded with an error (HTTP 400)"), None),
        (pysolr.SolrError("Connection to server 'x/?q=Request failed after 5 attempts' timed out"), None),
        (EngineError("no", 400), "window_refused"),
        (EngineError("no"), None),
        (ConnectorError("no"), None),
        (
            httpx.HTTPStatusError("x", request=httpx.Request("GET", "http://x"), response=httpx.Response(400)),
            "window_refused",
        ),
        (httpx.HTTPStatusError("x", request=httpx.Request("GET", "http://x"), response=httpx.Response(404)), None),
        (ValueError("no"), None),
        ({"responseHeader": {"partialResults": True}}, "shard_failures"),
        ({"responseHeader": {"partialResults": False}}, None),
        ({"responseHeader": None}, None),
        ("text", None),
        (reply(), None),
    ],
)
def test_refusals(answer: Any, word: str | None) -> None:
    """Failures that a wider request can cause are told from all others."""
    assert CONNECTOR.refusal(answer) == word


def test_annotations() -> None:
    """A summary stands beside the hits, evidence on each; what is no reply stays what it is."""
    answer = reply()
    page = [RankedHit(candidate, 1, 9.0) for candidate in CONNECTOR.parse(answer, PLAN)]
    told = CONNECTOR.annotate(answer, Summary("applied"), page)
    assert told[notes.KEY]["status"] == "applied"
    assert [hit[notes.KEY]["first_stage_rank"] for hit in told["response"]["docs"]] == [1, 2, 3]
    assert notes.KEY not in str(answer)
    assert CONNECTOR.annotate("<xml/>", Summary("bypassed"), ()) == "<xml/>"
    assert CONNECTOR.annotate({"grouped": {}}, Summary("bypassed"), ())["grouped"] == {}
