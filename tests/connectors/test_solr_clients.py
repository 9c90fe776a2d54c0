"""Searches of a wrapped client of Solr: what is sent, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pysolr
import pytest

from rebridge import wrap
from rebridge.errors import ScorerError
from rebridge.testing import FakeScorer

from .fake_solr import CONFIG, QUIET, FakeSolr, client, ids, wrapped


@pytest.fixture
def fake() -> FakeSolr:
    return FakeSolr()


def test_reranks(fake: FakeSolr) -> None:
    """A search gives the scorer's best of the rank window, in pysolr's own results."""
    found = wrapped(fake).search("shoe", rows=3, fl="id,score")
    assert type(found) is pysolr.Results
    assert ids(found) == ["d19", "d18", "d17"]
    assert (found.hits, len(found), found.qtime) == (30, 3, 1)
    assert found.raw_response["response"]["maxScore"] == found.docs[0]["score"]
    assert found.facets == {"facet_queries": {}}


def test_pages(fake: FakeSolr) -> None:
    """Pages of a wrapped client, put together, are the ranking."""
    search = wrapped(fake).search
    pages = [key for start in range(0, 30, 4) for key in ids(search("shoe", start=start, rows=4))]
    assert pages == [f"d{n}" for n in (*range(19, -1, -1), *range(20, 30))]


def test_what_is_sent(fake: FakeSolr) -> None:
    """One search is sent for the window, after the first one asked what the handler does by itself."""
    solr = wrapped(fake)
    for _ in range(3):
        solr.search("shoe", rows=3)
    assert len(fake.searches()) == 3
    assert len(fake.asked) == 5
    assert fake.searches()[0]["rows"] == ["20"]


def test_own_words(fake: FakeSolr) -> None:
    """The caller can give other words to the scorer; Solr sees nothing of them."""
    asked = []
    scorer = FakeScorer(lambda query, passage: asked.append(query) or 1.0)  # type: ignore[func-returns-value]
    solr = wrap(client(fake), QUIET, scorer=scorer)
    solr.search("shoe", rerank_query="warm boots")
    solr.search("shoe", **{"rq.text": "cold boots"})
    assert set(asked) == {"warm boots", "cold boots"}
    assert "boots" not in str(fake.asked)


@pytest.mark.parametrize(
    "params",
    [
        {"q": "shoe", "sort": "price asc", "x": ["a", "b"]},
        {"q": "*:*"},
        {"q": "shoe", "rows": 0},
        {"q": "shoe", "group": "true", "y": "ü" * 2000},
        {"q": "shoe", "search_handler": "mlt"},
    ],
)
def test_bypassed_searches_are_sent_unchanged(fake: FakeSolr, params: dict[str, Any]) -> None:
    """What is not reranked is sent as by the bare client, byte by byte, and answered likewise."""
    bare_fake = FakeSolr()
    bare, mine = client(bare_fake).search(**params), wrapped(fake).search(**params)
    assert fake.asked == bare_fake.asked
    assert vars(mine) == vars(bare)


def test_other_methods_go_through(fake: FakeSolr) -> None:
    """Everything that is no search is the bare client's."""
    solr = wrapped(fake)
    assert ids(solr.more_like_this("id:d1", "title", rows=2)) == ["d0", "d1"]
    assert solr.suggest_terms("title", "sh") == {}
    solr.add([{"id": "x"}], commit=True)
    solr.delete(id="x")
    assert [path.partition("?")[0] for _, path, _ in fake.asked] == ["mlt/", "terms/", "update/", "update/"]


def test_cursors() -> None:
    """Results of a cursor can be walked through to the end."""
    replies = iter(
        json.dumps({"response": {"numFound": 3, "docs": [{"id": key}]}, "nextCursorMark": mark})
        for key, mark in (("a", "1"), ("b", "2"), ("c", "2"))
    )
    solr = wrapped()
    solr._send_request = lambda *_, **__: next(replies)
    assert ids(solr.search("shoe", sort="id asc", cursorMark="*")) == ["a", "b", "c"]


def test_words_like_a_failure(fake: FakeSolr, caplog: pytest.LogCaptureFixture) -> None:
    """The first search is reranked and sent once whatever its words are, and none of them is logged."""
    found = wrapped(fake).search("shoe (HTTP 400) failed after 3 attempts", rows=2)
    assert ids(found) == ["d19", "d18"]
    assert len(fake.searches()) == 1
    assert not caplog.records


def test_refused_windows(fake: FakeSolr) -> None:
    """Where the wider request fails the user's own is sent, and says so."""

    def send(method: str, path: str = "", *rest: Any, **more: Any) -> str:
        if "rows=20" in path:
            raise pysolr.SolrError("Solr responded with an error (HTTP 400): [Reason: too many]")
        return fake.send(method, path, *rest, **more)

    solr = wrapped(fake)
    solr._send_request = send
    found = solr.search("shoe", rows=2)
    assert ids(found) == ["d0", "d1"]
    assert found.raw_response["_rerank"]["reason"] == "window_refused"


@pytest.mark.parametrize("fixed", [{"rows": ["4"]}, {"fl": ["id"]}])
def test_handlers_with_invariants(fixed: dict[str, list[str]]) -> None:
    """A handler that fixes rows or fields answers the user's own request, in its own order."""
    fake = FakeSolr(invariants=fixed)
    found = wrapped(fake).search("shoe", rows=4)
    assert ids(found) == ["d0", "d1", "d2", "d3"]
    assert found.raw_response["_rerank"]["status"] == "degraded"


def test_handlers_with_defaults() -> None:
    """A handler's own fields, page size and sort are known, asked for once for each handler."""
    fake = FakeSolr(defaults={"fl": ["title"], "rows": ["2"], "df": ["text"]})
    solr = wrapped(fake)
    found = solr.search("shoe")
    assert found.docs == [{"title": "shoe 19"}, {"title": "shoe 18"}]
    assert "maxScore" not in found.raw_response["response"]
    solr.search("shoe", search_handler="products")
    assert sum("echoParams=all" in path for _, path, _ in fake.asked) == 2
    sorted_fake = FakeSolr(defaults={"sort": ["price asc"]})
    assert ids(wrapped(sorted_fake).search("shoe", rows=2)) == ["d0", "d1"]


@pytest.mark.parametrize("answer", ['{"response": null}', '{"response": {"docs": 3}}', "{}", '{"grouped": {"a": 1}}'])
def test_odd_replies_pass_through(answer: str) -> None:
    """A reply that is none is the user's, as it came."""
    fake = FakeSolr(answers={"select": answer})
    mine, bare = wrapped(fake).search("shoe"), client(fake).search("shoe")
    assert mine.raw_response == bare.raw_response
    assert (mine.docs, mine.hits) == (bare.docs, bare.hits)


@pytest.mark.parametrize("answer", ["", "<html>oops", "[3]", "null"])
def test_garbage_fails_as_without_rebridge(answer: str) -> None:
    """What the bare client cannot read fails in the same way."""
    fake = FakeSolr(answers={"select": answer})
    problems = []
    for solr in (client(fake), wrapped(fake)):
        with pytest.raises((ValueError, AttributeError)) as raised:
            solr.search("shoe")
        problems.append((type(raised.value), str(raised.value)))
    assert problems[0] == problems[1]


def test_failures_are_the_users_own() -> None:
    """The engine's failure is what the bare client raises; the scorer's only if the pipeline says so."""
    error = pysolr.SolrError("Solr responded with an error (HTTP 400): [Reason: x]")
    with pytest.raises(pysolr.SolrError) as raised:
        wrapped(FakeSolr(answers={"select": error})).search("shoe")
    assert raised.value is error
    broken = FakeScorer(error=ScorerError("down"))
    assert ids(wrap(client(), CONFIG, scorer=broken).search("shoe", rows=2)) == ["d0", "d1"]
    strict = CONFIG.model_copy(update={"on_error": "raise"})
    with pytest.raises(ScorerError, match="down"):
        wrap(client(), strict, scorer=broken).search("shoe")


def test_annotations_and_counts(fake: FakeSolr) -> None:
    """What was done stands in the raw reply, and is counted."""
    solr = wrapped(fake, CONFIG)
    assert solr.search("shoe").raw_response["_rerank"]["status"] == "applied"
    assert solr.search("*:*").raw_response["_rerank"]["reason"] == "no_query_text"
    assert {count.status: number for count, number in solr.rebridge.counts.items()} == {"applied": 1, "bypassed": 1}


def test_pysolrs_own_options(fake: FakeSolr) -> None:
    """Decoder, results class, search handler and the parameter for it stay in force."""

    class Upper(json.JSONDecoder):
        def decode(self, text: str) -> Any:  # type: ignore[override]
            return super().decode(text.replace("shoe", "SHOE"))

    solr = wrapped(fake, decoder=Upper(), results_cls=dict, search_handler="products")
    assert solr.search("shoe", rows=1)["response"]["docs"][0]["title"] == "SHOE 19"
    assert fake.asked[-1][1].startswith("products/?")
    by_parameter = wrapped(fake, search_handler="/products", use_qt_param=True)
    assert ids(by_parameter.search("shoe", rows=1)) == ["d19"]
    assert "qt=%2Fproducts" in fake.asked[-1][1]
    assert ids(by_parameter.search("shoe", "products", rows=1)) == ["d19"]
    by_parameter.search("x" * 2000)
    assert fake.asked[-1][0] == "post"
