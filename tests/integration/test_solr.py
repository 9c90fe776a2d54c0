"""What users of Solr get from rebridge, against what Solr itself answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from rebridge.drivers import run
from rebridge.flow import Outcome, rerank_flow
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.testing import FakeScorer
from rebridge_solr import CONNECTOR, Request, SolrSettings
from rebridge_solr.engine import SolrEngine

from .solr_requests import REQUESTS, around, comparable, entries, fill
from .solr_requests import request as named_request

WINDOW = 25
PIPELINE = Pipeline("docs", CONNECTOR, PassageTemplate("{title}\n{note_t}"), rank_window=WINDOW, annotate="none")


def shuffled(query: str, passage: str) -> float:
    """Scores in no order that Solr knows."""
    del query
    return float(int(passage.split("\n", maxsplit=1)[0].rsplit(maxsplit=1)[-1]) * 7 % 31)


@dataclass(frozen=True)
class Bench:
    """A real core or collection."""

    engine: SolrEngine
    shards: int

    def bare(self, asked: Request) -> dict[str, Any]:
        """Solr's own answer."""
        return self.engine.search(replace(asked, defaults=None))

    def rerank(self, asked: Request, scorer: FakeScorer | None = None, **changes: Any) -> Outcome[Any]:
        pipeline = replace(PIPELINE, **changes)
        return run(rerank_flow(asked, pipeline), self.engine.search, scorer or FakeScorer(shuffled))


@pytest.fixture(scope="module", params=["solr", "solrcloud"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    address: str = request.getfixturevalue(f"{request.param}_url")
    fill(address)
    url, _, index = address.rpartition("/")
    with CONNECTOR.open(SolrSettings(url=url, index=index)) as engine:
        yield Bench(engine, 1 if request.param == "solr" else 2)


@pytest.fixture(params=REQUESTS)
def asked(request: pytest.FixtureRequest, bench: Bench) -> Request:
    """Each of the requests."""
    if bench.shards > 1 and request.param.startswith("collapsed"):
        pytest.skip("Solr collapses within shards only, and which shard's groups it then shows is chance")
    return named_request(request.param)


def paged(asked: Request, start: int, rows: int) -> Request:
    """The request for another page, asked for in the request's own way."""
    if asked.json is not None:
        return replace(asked, json={**asked.json, "offset": start, "limit": rows})
    return replace(asked, params={**asked.params, "start": start, "rows": rows})


def test_a_page_with_all_hits_is_as_without_rebridge(bench: Bench, asked: Request) -> None:
    """But for the order of hits and their scores, the reply to a request is the engine's own."""
    asked = paged(asked, 0, 40)
    bare, outcome = bench.bare(asked), bench.rerank(asked)
    assert outcome.summary.status == "applied"
    assert comparable(outcome.reply) == comparable(bare)


def test_a_short_page_is_cut_out_of_the_ranking(bench: Bench, asked: Request) -> None:
    """A page holds the hits of its place in the ranking, and nothing in the reply speaks of others."""
    whole = bench.rerank(paged(asked, 0, 40))
    bare, outcome = bench.bare(paged(asked, 2, 4)), bench.rerank(paged(asked, 2, 4))
    assert around(outcome.reply) == around(bare)
    assert outcome.reply["response"]["docs"] == whole.reply["response"]["docs"][2:6]
    page = [hit.candidate.doc_id for hit in outcome.page]
    assert page == [hit.candidate.doc_id for hit in whole.page][2:6]
    for part, found in entries(outcome.reply).items():
        everything = entries(whole.reply)[part]
        assert {key: everything[key] for key in found} == found
        if part != "expanded":
            assert list(found) == [key for key in page if key in everything]


def test_reranking_changes_the_order(bench: Bench) -> None:
    """Hits come in the scorer's order, whatever fields the request asks for."""
    asked = named_request("fields", rows=5, fl="title,score")
    docs = bench.rerank(asked).reply["response"]["docs"]
    assert docs != bench.bare(asked)["response"]["docs"]
    scores = [hit["score"] for hit in docs]
    assert scores == sorted(scores, reverse=True)
    # A hit that is first for the scorer and last for the engine is somewhere between; two that only the scorer tells
    # apart stand as it says.
    only = bench.rerank(asked, fusion=replace(PIPELINE.fusion, weight=1.0)).reply["response"]["docs"]
    judged = [shuffled("", hit["title"]) for hit in only]
    assert judged == sorted(judged, reverse=True)


def test_json_limits_beat_parameters(bench: Bench) -> None:
    """The page of a request is the one that Solr itself would answer, whichever of its sizes counts."""
    body = {"query": "text:shoe", "limit": 3}
    for params, size in (
        ({"rows": 7}, 3),
        ({"rows": 7, "json.limit": 5}, 5),
        ({"json.limit": ["5", "6"]}, 6),
        ({"json": '{"limit": 8}'}, 8),
    ):
        asked = Request({**params, "fl": "id"}, body)
        bare, reply = bench.bare(asked), bench.rerank(asked).reply
        assert len(reply["response"]["docs"]) == len(bare["response"]["docs"]) == size
    repeated = named_request("lucene", rows=["4", "9"])
    assert len(bench.rerank(repeated).reply["response"]["docs"]) == len(bench.bare(repeated)["response"]["docs"]) == 4
