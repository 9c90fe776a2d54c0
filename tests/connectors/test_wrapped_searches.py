"""What a wrapped Elasticsearch or OpenSearch client answers, over a transport that answers from memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rebridge import wrap
from rebridge.bridge import Count
from rebridge.errors import ScorerError
from rebridge.testing import FakeScorer

from . import fake_cluster
from .client_kinds import CONFIG, QUERY, Kind, ids, last_first
from .fake_cluster import Cluster


class TestSearch:
    def test_reranks(self, kind: Kind, client: Any, bare: Any) -> None:
        """The page is the best of the window, and the reply is of the client's own type."""
        reply = kind.call(client.search, index="shop", body={"query": QUERY, "size": 3})
        assert ids(reply) == ["d20", "d19", "d18"]
        assert reply["_rerank"]["status"] == "applied"
        assert reply["aggregations"] == {"a": {}}
        plain = kind.call(bare.search, index="shop", body={"query": QUERY, "size": 3})
        assert type(reply) is type(plain)
        if hasattr(plain, "meta"):
            assert reply.meta == plain.meta

    def test_one_request_for_the_window(self, kind: Kind, client: Any, cluster: Cluster) -> None:
        """The window costs one request, under the client's own headers."""
        kind.call(client.search, index="shop", body={"query": QUERY, "size": 3})
        assert [(path, body["size"]) for _, path, _, body in cluster.calls] == [("/shop/_search", 20)]
        kind.call(kind.client(cluster).search, index="shop", body={"query": QUERY})
        assert cluster.headers[0] == cluster.headers[1]

    def test_pages(self, kind: Kind, client: Any) -> None:
        """Pages put together are the ranking, also past the window."""
        pages = [
            key
            for start in range(0, 30, 7)
            for key in ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 7, "from": start}))
        ]
        assert pages == [f"d{n}" for n in [*range(20, 0, -1), *range(21, 31)]]

    def test_own_words(self, kind: Kind, bare: Any, cluster: Cluster) -> None:
        """`rerank_query` is what the model reads, and the engine never sees it."""
        body = {"query": QUERY, "ext": {"rerank": {"query_context": {"query_text": "not this"}}}}
        asked = []

        def note(query: str, passage: str) -> float:
            asked.append(query)
            return float(len(passage))

        client = wrap(bare, CONFIG, scorer=FakeScorer(note))
        kind.call(client.search, index="shop", body=body, rerank_query="warm boots")
        assert set(asked) == {"warm boots"}
        assert cluster.calls == [("POST", "/shop/_search", {}, {"query": QUERY, "from": 0, "size": 20})]

    def test_bypassed_requests_are_sent_unchanged(self, kind: Kind, client: Any, bare: Any, cluster: Cluster) -> None:
        """What is not reranked goes out byte for byte as without rebridge, and the reply says why."""
        body = {"query": QUERY, "sort": ["n"], "from": 2, "x\ud83d": 1}
        reply = kind.call(client.search, index="shop", body=body)
        plain = kind.call(bare.search, index="shop", body=body)
        assert cluster.sent[0] == cluster.sent[1]
        assert ids(reply) == ids(plain)
        assert (reply["_rerank"]["status"], reply["_rerank"]["reason"]) == ("bypassed", "own_sort")

    def test_refused_windows(self, kind: Kind) -> None:
        """Where the index refuses the window, the user's own request is answered, and the reply says so."""
        client = wrap(kind.client(Cluster(limit=15)), CONFIG, scorer=FakeScorer(last_first))
        reply = kind.call(client.search, index="shop", body={"query": QUERY, "size": 3})
        assert ids(reply) == ["d1", "d2", "d3"]
        assert (reply["_rerank"]["status"], reply["_rerank"]["reason"]) == ("degraded", "window_refused")

    def test_own_failures(self, kind: Kind) -> None:
        """A request that fails by itself fails with the client's own exception and the engine's own words for it."""
        bare = kind.client(Cluster(limit=5))
        client = wrap(bare, CONFIG, scorer=FakeScorer(last_first))
        failures = []
        for each in (bare, client):
            with pytest.raises(Exception, match="over 5") as caught:
                kind.call(each.search, index="shop", body={"query": QUERY, "size": 9})
            failures.append((caught.type, str(caught.value)))
        assert failures[0] == failures[1]

    def test_argument_errors_come_at_the_call(self, client: Any, bare: Any) -> None:
        """A wrong argument raises when the method is called, like on the bare client, not when it is awaited."""
        for each in (bare, client):
            with pytest.raises(TypeError):
                each.search(nonsense=1)

    def test_counts(self, kind: Kind, client: Any) -> None:
        """What was done is counted by pipeline, status and reason."""
        for body in ({"query": QUERY}, {"query": QUERY}, {"query": QUERY, "size": 0}):
            kind.call(client.search, index="shop", body=body)
        assert client.rebridge.counts == {
            Count("*", "applied", None): 2,
            Count("*", "bypassed", "size_0"): 1,
        }


class TestOtherSearches:
    def test_msearch(self, kind: Kind, client: Any, cluster: Cluster) -> None:
        """Every search is reranked, in one request; one that cannot be is answered as it is."""
        lines = [{}, {"query": QUERY, "size": 2}, {"index": "other"}, {"query": QUERY, "size": 2, "sort": ["n"]}]
        reply = kind.call(client.msearch, index="shop", body=lines)
        first, second = reply["responses"]
        assert (ids(first), ids(second)) == (["d20", "d19"], ["d1", "d2"])
        assert (first["_rerank"]["status"], second["_rerank"]["reason"]) == ("applied", "own_sort")
        assert [call[3] for call in cluster.calls] == [[lines[0], {"query": QUERY, "size": 20, "from": 0}, *lines[2:]]]

    def test_msearch_unchanged(self, kind: Kind, client: Any, bare: Any, cluster: Cluster) -> None:
        """A multi-search in which nothing is reranked goes out as it came."""
        lines = [{"index": ["a", "b"]}, {"query": {"match_all": {}}}]
        kind.call(client.msearch, body=lines)
        kind.call(bare.msearch, body=lines)
        assert cluster.sent[0] == cluster.sent[1]

    def test_msearch_as_text(self, kind: Kind, client: Any, bare: Any, cluster: Cluster) -> None:
        """Lines that are text already may leave the header empty, and may hold any character."""
        query = json.dumps({"query": {"match": {"title": "shoe\u2028\x85"}}, "size": 2}, ensure_ascii=False)
        lines = f"\n{query}\n{{}}\n{query}\n"
        reply = kind.call(client.msearch, index="shop", body=lines)
        assert [ids(item) for item in reply["responses"]] == [["d20", "d19"]] * 2
        assert [line["query"] for line in cluster.calls[0][3][1::2]] == [json.loads(query)["query"]] * 2
        for odd in ("nonsense\n", f"{{}}\n{query}\n{{}}\n"):
            kind.call(client.msearch, index="shop", body=odd)
            kind.call(bare.msearch, index="shop", body=odd)
            assert cluster.sent[-1] == cluster.sent[-2]
        assert client.rebridge.counts[Count("*", "bypassed", "unreadable_body")] == 2

    def test_msearch_with_a_filter(self, kind: Kind, client: Any, cluster: Cluster) -> None:
        """A filter over all replies at once passes through, and is counted."""
        kind.call(client.msearch, index="shop", body=[{}, {"query": QUERY}], filter_path="responses.hits.total")
        assert cluster.calls[0][3] == [{}, {"query": QUERY}]
        assert client.rebridge.counts == {Count("*", "bypassed", "filter_path"): 1}

    def test_msearch_with_a_scorer_that_raises(self, kind: Kind, bare: Any) -> None:
        """A search whose failure the pipeline wants to be an error has one in its place; the others are answered."""
        configs = {"a": CONFIG.model_copy(update={"on_error": "raise"}), "b": CONFIG}
        client = wrap(bare, configs, scorer=FakeScorer(error=ScorerError("down")))
        lines = [{"index": "a"}, {"query": QUERY}, {"index": "b"}, {"query": QUERY, "size": 2}]
        first, second = kind.call(client.msearch, body=lines)["responses"]
        assert (first["error"]["reason"], first["status"]) == ("down", 500)
        assert ids(second) == ["d1", "d2"]

    def test_msearch_failures(self, kind: Kind) -> None:
        """A search that fails by itself has the engine's own error; one with a refused window its own answer."""
        cluster = Cluster(limit=15)
        bare = kind.client(cluster)
        client = wrap(bare, CONFIG, scorer=FakeScorer(last_first))
        lines = [{}, {"query": QUERY, "size": 2}, {}, {"query": QUERY, "size": 99}]
        reply = kind.call(client.msearch, index="shop", body=lines)
        plain = kind.call(bare.msearch, index="shop", body=lines)
        assert ids(reply["responses"][0]) == ["d1", "d2"]
        assert reply["responses"][0]["_rerank"]["reason"] == "window_refused"
        assert reply["responses"][1] == plain["responses"][1]

    def test_templates(self, kind: Kind, client: Any) -> None:
        """A search template is rendered first, so that its query can be read and widened."""
        template = {"source": {"query": {"match": {"title": "{{words}}"}}, "size": 2}, "params": {"words": "shoe"}}
        reply = kind.call(client.search_template, index="shop", body=template)
        assert ids(reply) == ["d20", "d19"]

    def test_errors_handed_over_as_replies(self, kind: Kind) -> None:
        """A client that is told to ignore a status gets what the bare one gets."""
        for limit, reason in ((15, "window_refused"), (2, "refused")):
            bare = kind.client(Cluster(limit=limit))
            client = wrap(bare, CONFIG, scorer=FakeScorer(last_first))
            plain, reply = (
                kind.ignoring(each, 400, index="shop", body={"query": QUERY, "size": 3}) for each in (bare, client)
            )
            plain, reply = (dict(getattr(each, "body", each)) for each in (plain, reply))
            reply.pop("_rerank", None)
            assert reply == plain
            assert [count.reason for count in client.rebridge.counts] == [reason]

    def test_options_count_for_every_request(self, kind: Kind) -> None:
        """A time limit for one search holds for each of the requests that it becomes."""
        cluster = Cluster(limit=15)
        client = wrap(kind.client(cluster), CONFIG, scorer=FakeScorer(last_first))
        if hasattr(client, "options"):
            kind.call(client.options(request_timeout=7).search, index="shop", body={"query": QUERY})
        else:
            kind.call(client.search, index="shop", body={"query": QUERY}, request_timeout=7)
        assert cluster.timeouts == [7, 7]

    def test_everything_else_goes_through(self, kind: Kind, client: Any, cluster: Cluster) -> None:
        """What is no search is not touched."""
        kind.call(client.indices.refresh, index="shop")
        assert cluster.calls == [("POST", "/shop/_refresh", {}, None)]


def test_json_bodies_that_were_serialised_before() -> None:
    """A body that is text already is left to the engine."""
    cluster = Cluster()
    client = wrap(fake_cluster.opensearch(cluster, awaited=False), CONFIG, scorer=FakeScorer(last_first))
    assert ids(client.search(index="shop", body=json.dumps({"query": QUERY, "size": 1}))) == ["d1"]
