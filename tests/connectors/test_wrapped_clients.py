"""What a wrapped Elasticsearch or OpenSearch client does, over a transport that answers from memory."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import elasticsearch
import opensearchpy
import pytest

from rebridge import PipelineConfig, wrap
from rebridge.bridge import Count
from rebridge.errors import ScorerError
from rebridge.passages import PassageTemplate
from rebridge.testing import FakeScorer

from . import fake_cluster
from .fake_cluster import Cluster

CONFIG = PipelineConfig(rank_window=20, passage=PassageTemplate("{title}"))
QUERY = {"match": {"title": "shoe"}}


def last_first(query: str, passage: str) -> float:
    """d20 is the best of d1 to d20."""
    del query
    return float(passage.rsplit(maxsplit=1)[-1])


@dataclass(frozen=True)
class Kind:
    """A kind of client."""

    make: Callable[..., Any]
    awaited: bool = False

    def client(self, cluster: Cluster, **options: Any) -> Any:
        return self.make(cluster, awaited=self.awaited, **options)

    def ignoring(self, client: Any, status: int, **search: Any) -> Any:
        """A search with a client that is told to hand an error over as a reply."""
        if hasattr(client, "options"):
            return self.call(client.options(ignore_status=status).search, **search)
        return self.call(client.search, ignore=status, **search)

    def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """What a method returns; awaited if it must be."""
        answer = method(*args, **kwargs)
        if not self.awaited:
            return answer

        async def wait() -> Any:
            return await answer

        return asyncio.run(wait())

    def stub(self, client: Any, reply: Any) -> None:
        """Let a client get this reply to everything."""

        def answer(*args: Any, **kwargs: Any) -> Any:
            return reply

        async def answer_async(*args: Any, **kwargs: Any) -> Any:
            return reply

        perform = answer_async if self.awaited else answer
        if hasattr(client, "perform_request"):
            client.perform_request = perform
        else:
            client.transport = type("Stub", (), {"perform_request": staticmethod(perform)})()


def _elasticsearch(cluster: Cluster, **options: Any) -> Any:
    return fake_cluster.elasticsearch(cluster, **options)


KINDS = {
    "elasticsearch": Kind(_elasticsearch),
    "elasticsearch-async": Kind(_elasticsearch, awaited=True),
    "opensearch": Kind(fake_cluster.opensearch),
    "opensearch-async": Kind(fake_cluster.opensearch, awaited=True),
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every kind of client."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def cluster() -> Cluster:
    """What the clients talk to."""
    return Cluster()


@pytest.fixture
def bare(kind: Kind, cluster: Cluster) -> Any:
    """A client as its user made it."""
    return kind.client(cluster)


@pytest.fixture
def client(bare: Any) -> Any:
    """The same client, wrapped."""
    return wrap(bare, CONFIG, scorer=FakeScorer(last_first))


def ids(reply: Any) -> list[str]:
    return [hit["_id"] for hit in reply["hits"]["hits"]]


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


class TestSameClient:
    def test_is_of_the_same_class(self, client: Any, bare: Any) -> None:
        """Class, name and text form are those of the bare client."""
        assert isinstance(client, type(bare))
        assert type(client).__name__ == type(bare).__name__
        assert type(client).__qualname__ == type(bare).__qualname__
        assert type(client).__module__ == type(bare).__module__
        assert repr(client) == repr(bare)

    def test_keeps_users_subclasses(self, kind: Kind, cluster: Cluster, bare: Any) -> None:
        """A class derived by the user stays, with its own methods."""

        class Mine(type(bare)):  # type: ignore[misc]
            def hello(self) -> str:
                return "hello"

        client = wrap(kind.client(cluster, base=Mine), CONFIG, scorer=FakeScorer(last_first))
        assert isinstance(client, Mine)
        assert client.hello() == "hello"
        assert ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]

    def test_keeps_what_users_searches_set(self, kind: Kind, cluster: Cluster, bare: Any) -> None:
        """What a user's own `search` sets on the client stays there."""

        class Mine(type(bare)):  # type: ignore[misc]
            searches = 0

            def search(self, *args: Any, **kwargs: Any) -> Any:
                self.searches += 1
                return super().search(*args, **kwargs)

        client = wrap(kind.client(cluster, base=Mine), CONFIG, scorer=FakeScorer(last_first))
        for _ in range(2):
            assert ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]
        assert client.searches == 2

    def test_searches_within_searches(self, kind: Kind, cluster: Cluster, bare: Any) -> None:
        """A search that a user's own method makes within another is reranked once."""

        class Mine(type(bare)):  # type: ignore[misc]
            def msearch(self, **kwargs: Any) -> Any:
                return self.search(**kwargs)

        client = wrap(kind.client(cluster, base=Mine), CONFIG, scorer=FakeScorer(last_first))
        assert ids(kind.call(client.msearch, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]
        assert client.rebridge.counts == {Count("*", "applied", None): 1}

    def test_clients_made_within_searches(self, kind: Kind, cluster: Cluster, bare: Any) -> None:
        """What a user's own `search` copies, or makes of its class, are clients like any other."""

        class Mine(type(bare)):  # type: ignore[misc]
            made: tuple[Any, ...] = ()

            def search(self, *args: Any, **kwargs: Any) -> Any:
                self.made = (copy.copy(self), type(self)("http://localhost:9200"))
                return super().search(*args, **kwargs)

        client = wrap(kind.client(cluster, base=Mine), CONFIG, scorer=FakeScorer(last_first))
        kind.call(client.search, index="shop", body={"query": QUERY})
        assert [type(each) for each in client.made] == [type(client)] * 2
        assert ids(kind.call(client.made[0].search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]

    def test_stubs_set_within_searches(self, kind: Kind, cluster: Cluster, bare: Any) -> None:
        """What a user's own `search` puts in place of the way to the engine is used, at once and later."""

        class Mine(type(bare)):  # type: ignore[misc]
            def search(self, *args: Any, **kwargs: Any) -> Any:
                kind.stub(self, {"acknowledged": True})
                return super().search(*args, **kwargs)

        client = wrap(kind.client(cluster, base=Mine), CONFIG, scorer=FakeScorer(last_first))
        for _ in range(2):
            assert kind.call(client.search, index="shop", body={"query": QUERY}) == {"acknowledged": True}
        assert kind.call(client.count, index="shop") == {"acknowledged": True}
        assert cluster.calls == []

    def test_gives_itself_in_a_with_block(self, kind: Kind, client: Any) -> None:
        """`with` and `async with` give the wrapped client."""

        async def entered() -> Any:
            async with client as inside:
                return inside

        if kind.awaited:
            assert asyncio.run(entered()) is client
        else:
            with client as inside:
                assert inside is client

    @pytest.mark.parametrize("name", ["elasticsearch", "elasticsearch-async"])
    def test_options_stay_wrapped(self, name: str, cluster: Cluster) -> None:
        """Clients made by `options` rerank too, share the transport, and carry their own headers."""
        kind = KINDS[name]
        client = wrap(kind.client(cluster), CONFIG, scorer=FakeScorer(last_first))
        other = client.options(opaque_id="me").options(request_timeout=3)
        assert ids(kind.call(other.search, index="shop", query=QUERY, size=1)) == ["d20"]
        assert other.transport is client.transport
        assert cluster.headers[-1]["x-opaque-id"] == "me"

    def test_headers_stay(self, kind: Kind, client: Any, bare: Any, cluster: Cluster) -> None:
        """User agent, client metadata and content types are the client's own."""
        for each in (bare, client):
            kind.call(each.search, index="shop", body={"query": QUERY})
        assert cluster.headers[0] == cluster.headers[1]

    def test_namespaces_belong_to_it(self, client: Any, bare: Any) -> None:
        """`client.indices` and the like have the wrapped client as their parent and the same transport."""
        parent = "_client" if hasattr(client.indices, "_client") else "client"
        assert getattr(client.indices, parent) is client
        assert getattr(bare.indices, parent) is bare
        assert client.indices.transport is client.transport is bare.transport
        assert client.cat is not bare.cat

    def test_what_users_hang_on_a_client_stays(self, bare: Any) -> None:
        """An object of the user's own that points to the client stays the same object."""

        class Cache(dict):  # type: ignore[type-arg]
            client: Any = None

        bare.cache = Cache()
        bare.cache.client = bare
        assert wrap(bare, CONFIG, scorer=FakeScorer()).cache is bare.cache

    def test_closing_frees_the_models(self, kind: Kind, bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Closing the client closes the models that were loaded for it; a later search loads them again."""
        events = []

        class Model(FakeScorer):
            def close(self) -> None:
                events.append("closed")

        def opener(model: str, **_: Any) -> FakeScorer:
            events.append("opened")
            return Model(last_first)

        monkeypatch.setattr("rebridge.shared_scorers.open_scorer", opener)
        client = wrap(bare, CONFIG)
        kind.call(client.close)
        assert events == ["opened", "closed"]
        assert ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]

    def test_plugins_belong_to_it(self) -> None:
        """opensearch-py's nested namespaces do too."""
        bare = fake_cluster.opensearch(Cluster(), awaited=False)
        client = wrap(bare, CONFIG, scorer=FakeScorer())
        assert client.plugins.client is client
        assert client.plugins.knn.client is client
        assert client.plugins.alerting is client.alerting

    def test_attributes_and_patches_count(self, kind: Kind, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is set on the client, or patched into its class later, takes part in searches."""
        client.mine = 1
        assert copy.copy(client).mine == 1
        seen = []
        base = type(client).__mro__[2]
        original = base.search

        def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(kwargs.get("index"))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(base, "search", traced)
        assert ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]
        assert seen == ["shop"]

    def test_signature(self, client: Any, bare: Any) -> None:
        """`search` takes what it took, and `rerank_query`."""
        mine, own = inspect.signature(client.search), inspect.signature(bare.search)
        assert [name for name in mine.parameters if name != "rerank_query"] == list(own.parameters)
        assert "rerank_query" in mine.parameters
        assert client.search.__doc__ == bare.search.__doc__

    def test_copies_and_weak_references(self, kind: Kind, client: Any) -> None:
        """A copy reranks too; a client that nobody holds is freed."""
        twin = copy.copy(client)
        assert ids(kind.call(twin.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]
        alone = wrap(kind.client(Cluster()), CONFIG, scorer=FakeScorer())
        reference = weakref.ref(alone)
        del alone
        gc.collect()
        assert reference() is None

    def test_wrapping_twice(self, kind: Kind, client: Any) -> None:
        """The last wrapping counts; nothing is reranked twice."""
        asked = []

        def note(query: str, passage: str) -> float:
            asked.append(passage)
            return -last_first(query, passage)

        again = wrap(client, CONFIG, scorer=FakeScorer(note))
        assert ids(kind.call(again.search, index="shop", body={"query": QUERY, "size": 1})) == ["d1"]
        assert len(asked) == 20
        assert ids(kind.call(client.search, index="shop", body={"query": QUERY, "size": 1})) == ["d20"]

    def test_nothing_global_changes(self, kind: Kind, client: Any, bare: Any) -> None:
        """The client that was wrapped, and others of its class, stay as they were."""
        assert ids(kind.call(bare.search, index="shop", body={"query": QUERY, "size": 1})) == ["d1"]
        assert not hasattr(bare, "rebridge")

    def test_odd_replies(self, kind: Kind, client: Any) -> None:
        """What a user's stub answers comes through as it is."""
        for odd in ((200, {}, {}), {"acknowledged": True}, None, "<html>"):
            one = copy.copy(client)
            kind.stub(one, odd)
            assert kind.call(one.search, index="shop", body={"query": QUERY}) == odd


def test_pickling() -> None:
    """A wrapped client pickles where the bare one does, with its pipelines."""
    bare = opensearchpy.AsyncOpenSearch("http://localhost:9200")
    client = wrap(bare, CONFIG, lazy=True)
    again = pickle.loads(pickle.dumps(client))  # noqa: S301 - it is our own
    assert again.rebridge.source[0] == CONFIG
    assert isinstance(again, opensearchpy.AsyncOpenSearch)
    assert again.indices.client is again
    assert again.rebridge.serves("shop")
    for each in (opensearchpy.OpenSearch(), elasticsearch.Elasticsearch("http://localhost:9200")):
        failures = []
        for one in (each, wrap(each, CONFIG, lazy=True)):
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
                pickle.dumps(one)
            failures.append(str(caught.value))
        assert failures[0] == failures[1]


def test_json_bodies_that_were_serialised_before() -> None:
    """A body that is text already is left to the engine."""
    cluster = Cluster()
    client = wrap(fake_cluster.opensearch(cluster, awaited=False), CONFIG, scorer=FakeScorer(last_first))
    assert ids(client.search(index="shop", body=json.dumps({"query": QUERY, "size": 1}))) == ["d1"]
