"""A wrapped client of Solr is still its user's: its class, its state, its copies, and pysolr's other kinds."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import pysolr
import pytest

from rebridge import wrap
from rebridge.testing import FakeScorer

from .fake_solr import CONFIG, QUIET, URL, FakeSolr, client, ids, last, wrapped


class Shop(pysolr.Solr):
    """A user's own client."""

    fake = FakeSolr()

    def _send_request(self, *args: Any, **kwargs: Any) -> str:
        return self.fake.send(*args, **kwargs)

    def search(self, q: str, search_handler: str | None = None, **kwargs: Any) -> Any:
        """Only what is in stock."""
        self.asked = getattr(self, "asked", 0) + 1
        return super().search(q, search_handler, **{"fq": "stock:true", **kwargs})


@pytest.fixture
def fake() -> FakeSolr:
    return FakeSolr()


def test_targets(fake: FakeSolr) -> None:
    """The pipeline is that of the core in the address, or of the collection that a request names."""
    solr = wrap(client(fake), {"shop": QUIET, "books": QUIET}, scorer=FakeScorer(last))
    assert ids(solr.search("shoe", rows=1)) == ["d19"]
    assert ids(solr.search("shoe", rows=1, collection="books")) == ["d19"]
    assert ids(solr.search("shoe", rows=1, collection="others")) == ["d0"]


def test_is_of_the_same_class() -> None:
    """A wrapped client is of its client's own class, users' subclasses too, and says so."""
    for bare in (client(), Shop(URL)):
        mine = wrap(bare, QUIET, scorer=FakeScorer(last))
        assert isinstance(mine, type(bare))
        assert (type(mine).__name__, type(mine).__module__) == (type(bare).__name__, type(bare).__module__)
        assert repr(mine).partition(" at ")[0] == repr(bare).partition(" at ")[0]
        assert str(inspect.signature(type(mine).more_like_this)) == str(inspect.signature(type(bare).more_like_this))


def test_keeps_users_subclasses() -> None:
    """What a user's own class makes of a search stays in force."""
    Shop.fake = fake = FakeSolr()
    assert ids(wrap(Shop(URL), QUIET, scorer=FakeScorer(last)).search("shoe", rows=1)) == ["d19"]
    assert fake.searches()[-1]["fq"] == ["stock:true"]


def test_keeps_what_users_searches_set() -> None:
    """State that a user's own search keeps on the client stays there."""
    mine = wrap(Shop(URL), QUIET, scorer=FakeScorer(last))
    for _ in range(2):
        mine.search("shoe")
    assert mine.asked == 2


def test_attributes_and_patches_count(fake: FakeSolr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes set from outside, and patches of the class, reach a wrapped client."""
    solr = wrap(pysolr.Solr(URL), QUIET, scorer=FakeScorer(last))
    monkeypatch.setattr(pysolr.Solr, "_send_request", lambda self, *args, **kwargs: fake.send(*args, **kwargs))
    assert ids(solr.search("shoe", rows=1)) == ["d19"]
    other = FakeSolr()
    solr._send_request = other.send
    solr.search("shoe")
    assert other.searches()
    monkeypatch.setattr(pysolr.Solr, "search", lambda self, *args, **kwargs: "patched")
    assert solr.search("shoe") == "patched"


def test_signature() -> None:
    """A search has the bare signature and ``rerank_query``; wrong arguments fail at the call."""
    names = list(inspect.signature(wrapped().search).parameters)
    assert names == ["q", "search_handler", "rerank_query", "kwargs"]
    with pytest.raises(TypeError):
        wrapped().search()


def test_copies_and_weak_references() -> None:
    """A wrapped client can be copied, is freed when nobody needs it, and cannot be pickled, like the bare one."""
    solr = wrapped()
    assert ids(copy.copy(solr).search("shoe", rows=1)) == ["d19"]
    solr.search("shoe")
    gone = weakref.ref(solr)
    del solr
    gc.collect()
    assert gone() is None
    bare = pysolr.Solr(URL)
    for one in (bare, wrap(bare, QUIET, scorer=FakeScorer(last))):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(one)


def test_wrapping_twice(fake: FakeSolr) -> None:
    """Wrapping again replaces the pipeline instead of reranking twice, and leaves the first client alone."""
    first = wrapped(fake, CONFIG)
    second = wrap(first, QUIET, scorer=FakeScorer(lambda query, passage: -last(query, passage)))
    assert ids(second.search("shoe", rows=1)) == ["d0"]
    assert len(fake.searches()) == 1
    assert ids(first.search("shoe", rows=1)) == ["d19"]


def test_nothing_global_changes() -> None:
    """Clients that nobody wrapped are as they were."""
    before = dict(vars(pysolr.Solr))
    wrapped().search("shoe")
    assert dict(vars(pysolr.Solr)) == before
    assert ids(client().search("shoe", rows=1)) == ["d0"]


class FakeZooKeeper:
    """Gives another address each time."""

    def __init__(self) -> None:
        self.urls: Iterator[str] = (f"http://node{number}/solr/shop" for number in range(1000))

    def getRandomURL(self, _collection: str) -> str:  # noqa: N802 - pysolr's name
        return next(self.urls)


def test_solr_cloud(fake: FakeSolr, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of SolrCloud stays what it is: another node each time, and the collection's pipeline."""
    urls = []

    def send(self: Any, *args: Any, **kwargs: Any) -> str:
        urls.append(self.url)
        return fake.send(*args, **kwargs)

    monkeypatch.setattr(pysolr.Solr, "_send_request", send)
    solr = wrap(pysolr.SolrCloud(FakeZooKeeper(), "shop"), {"shop": QUIET}, scorer=FakeScorer(last))
    assert isinstance(solr, pysolr.SolrCloud)
    assert ids(solr.search("shoe", rows=1)) == ids(solr.search("shoe", rows=1)) == ["d19"]
    assert len(set(urls)) == len(urls) == 4
