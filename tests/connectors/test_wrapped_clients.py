"""In what a wrapped Elasticsearch or OpenSearch client is still the user's own client."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import weakref
from typing import Any

import elasticsearch
import opensearchpy
import pytest

from rebridge import wrap
from rebridge.bridge import Count
from rebridge.testing import FakeScorer

from . import fake_cluster
from .client_kinds import CONFIG, KINDS, QUERY, Kind, ids, last_first
from .fake_cluster import Cluster


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

        def opener(_section: Any, **_: Any) -> FakeScorer:
            events.append("opened")
            return Model(last_first)

        monkeypatch.setattr("rebridge.shared_scorers.open_uncached", opener)
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
