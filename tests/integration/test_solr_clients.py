"""Wrapped clients of Solr, against what the bare ones get from a real Solr."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pysolr
import pytest

from rebridge import PipelineConfig, wrap
from rebridge.testing import FakeScorer
from rebridge_solr import AsyncSolr

from .solr_requests import REQUESTS, comparable, fill
from .solr_requests import request as named_request

CONFIG = PipelineConfig.model_validate(
    {"passage": {"template": "{title}\n{note_t}"}, "rank_window": 40, "annotate": "none"}
)
Search = Callable[..., pysolr.Results]


def shuffled(query: str, passage: str) -> float:
    """Scores in no order that Solr knows."""
    del query
    return float(int(passage.split("\n", maxsplit=1)[0].rsplit(maxsplit=1)[-1]) * 7 % 31)


@pytest.fixture(scope="module", params=["solr", "solrcloud"])
def address(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(f"{request.param}_url")
    fill(address)
    return address


def blocking(address: str, *, reranked: bool) -> Search:
    client = pysolr.Solr(address)
    return (wrap(client, CONFIG, scorer=FakeScorer(shuffled)) if reranked else client).search


def awaiting(address: str, *, reranked: bool) -> Search:
    def search(*args: Any, **kwargs: Any) -> pysolr.Results:
        async def once() -> pysolr.Results:
            async with AsyncSolr(address) as client:
                used = wrap(client, CONFIG, scorer=FakeScorer(shuffled)) if reranked else client
                return await used.search(*args, **kwargs)

        return asyncio.run(once())

    return search


@pytest.fixture(params=[blocking, awaiting])
def search(request: pytest.FixtureRequest, address: str) -> tuple[Search, Search]:
    """The searches of a bare and of a wrapped client."""
    return request.param(address, reranked=False), request.param(address, reranked=True)


def arguments(name: str, **more: Any) -> dict[str, Any]:
    """A request as arguments of ``search``."""
    asked = named_request(name, **more)
    params = {"q": [], **asked.params}
    return params if asked.json is None else {**params, "json": json.dumps(asked.json)}


@pytest.mark.parametrize("name", [name for name in REQUESTS if not name.startswith("collapsed")])
def test_results_are_those_of_the_bare_client(search: tuple[Search, Search], name: str) -> None:
    """A wrapped client's results are the bare client's but for the order of hits and their scores."""
    asked = arguments(name, rows=40)
    bare, reranked = (one(**asked) for one in search)
    assert type(reranked) is type(bare)
    assert reranked.hits == bare.hits
    assert comparable(reranked.raw_response) == comparable(bare.raw_response)


def test_scorers_decide(search: tuple[Search, Search]) -> None:
    """Hits come in another order than the bare client's, with falling scores."""
    asked = arguments("edismax", rows=5, fl="id,score")
    bare, reranked = (one(**asked) for one in search)
    assert [hit["id"] for hit in reranked] != [hit["id"] for hit in bare]
    scores = [hit["score"] for hit in reranked]
    assert scores == sorted(scores, reverse=True)
    assert reranked.raw_response["response"]["maxScore"] == scores[0]


def test_a_cursor_walks_through_everything(address: str) -> None:
    """Iterating over the results of a cursor gives all hits in Solr's order, page by page."""
    asked = arguments("lucene", rows=7, sort="price_i asc,id asc", cursorMark="*", fl="id")
    bare, reranked = (blocking(address, reranked=wrapped)(**asked) for wrapped in (False, True))
    found = [hit["id"] for hit in reranked]
    assert found == [hit["id"] for hit in bare]
    assert len(found) == len(reranked) > 20


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "text:shoe", "rows": -1},
        {"q": "text:shoe", "rows": "many"},
        {"q": "text:(", "defType": "lucene"},
        {"q": "nofield:shoe"},
        {"q": "text:shoe", "fl": "id", "sort": "nofield asc"},
        {"q": "text:shoe", "json": "{"},
    ],
)
def test_failures_are_the_users_own(search: tuple[Search, Search], asked: dict[str, Any]) -> None:
    """A request that Solr refuses fails with the very words that the bare client shows."""
    problems = []
    for one in search:
        with pytest.raises(pysolr.SolrError) as raised:
            one(**asked)
        problems.append(str(raised.value))
    assert problems[0] == problems[1]
    assert "(HTTP 400)" in problems[0]


def test_both_clients_tell_failures_alike(address: str) -> None:
    """The asynchronous client raises pysolr's own errors, for Solr's as for others' pages."""
    for path, asked in (("", {"q": "text:("}), ("_missing", {"q": "x"})):
        problems = []
        for client in (blocking, awaiting):
            with pytest.raises(pysolr.SolrError) as raised:
                client(f"{address}{path}", reranked=False)(**asked)
            problems.append(str(raised.value).split("\n", maxsplit=1)[0])
        assert problems[0] == problems[1]
