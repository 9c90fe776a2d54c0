"""A wrapped `pysolr.SolrCloud`, which asks a real ZooKeeper for the nodes of its collection."""

from __future__ import annotations

from collections.abc import Iterator

import pysolr
import pytest

from rebridge import PipelineConfig, wrap
from rebridge.testing import FakeScorer

from .solr_requests import PREFIX, REQUESTS, comparable, fill
from .test_solr_clients import CONFIG, arguments, shuffled

COLLECTION = "docs"
WINDOW = CONFIG.rank_window
SCORER_ALONE = PipelineConfig.model_validate({**CONFIG.model_dump(exclude_unset=True), "fusion": {"method": "replace"}})


@pytest.fixture(scope="module")
def zookeeper(zookeeper_address: str, solrcloud_url: str) -> Iterator[pysolr.ZooKeeper]:
    """What pysolr knows of a cloud whose collection is filled."""
    fill(solrcloud_url)
    zookeeper = pysolr.ZooKeeper(zookeeper_address)
    yield zookeeper
    # pysolr leaves this to its users: connections that are not stopped outlive the program.
    zookeeper.zk.stop()
    zookeeper.zk.close()


@pytest.fixture
def bare(zookeeper: pysolr.ZooKeeper) -> Iterator[pysolr.SolrCloud]:
    client = pysolr.SolrCloud(zookeeper, COLLECTION, retry_count=2, retry_timeout=0.01)
    yield client
    client.get_session().close()


@pytest.fixture
def reranked(bare: pysolr.SolrCloud) -> pysolr.SolrCloud:
    """Wrapped with a pipeline for the collection alone."""
    return wrap(bare, {COLLECTION: SCORER_ALONE}, scorer=FakeScorer(shuffled))


@pytest.mark.parametrize("name", [name for name in REQUESTS if not name.startswith("collapsed")])
def test_results_are_those_of_the_bare_client(bare: pysolr.SolrCloud, reranked: pysolr.SolrCloud, name: str) -> None:
    """Over two shards, results are the bare client's but for the order of hits and their scores."""
    asked = arguments(name, rows=WINDOW)
    mine, theirs = reranked.search(**asked), bare.search(**asked)
    assert type(mine) is pysolr.Results
    assert mine.hits == theirs.hits
    assert comparable(mine.raw_response) == comparable(theirs.raw_response)


def test_scorers_decide(bare: pysolr.SolrCloud, reranked: pysolr.SolrCloud) -> None:
    """The collection's pipeline is found, and the scorer's best over both shards come first."""
    asked = arguments("edismax", rows=5, fl="id,title,score")
    mine, found = reranked.search(**asked), bare.search(**{**asked, "rows": WINDOW})
    best = sorted(found, key=lambda hit: shuffled("", hit["title"]), reverse=True)
    assert [hit["id"] for hit in mine] == [hit["id"] for hit in best[:5]] != [hit["id"] for hit in list(found)[:5]]
    assert [hit["score"] for hit in mine] == sorted((hit["score"] for hit in mine), reverse=True)
    assert [count.status for count in reranked.rebridge.counts] == ["applied"]


def test_other_collections_have_no_pipeline(bare: pysolr.SolrCloud) -> None:
    """With a pipeline for another collection only, the reply is the bare client's."""
    other = wrap(bare, {"others": CONFIG}, scorer=FakeScorer(shuffled))
    asked = arguments("edismax", rows=5)
    assert other.search(**asked).docs == bare.search(**asked).docs
    assert [count.reason for count in other.rebridge.counts] == ["no_pipeline"]


def test_stays_the_users_client(
    bare: pysolr.SolrCloud, reranked: pysolr.SolrCloud, zookeeper: pysolr.ZooKeeper
) -> None:
    """A wrapped client is a SolrCloud with the ZooKeeper, the collection and the retries of the bare one."""
    assert isinstance(reranked, pysolr.SolrCloud)
    assert reranked.zookeeper is bare.zookeeper is zookeeper
    assert (reranked.collection, reranked.retry_count) == (COLLECTION, 2)
    assert reranked.url == zookeeper.getRandomURL(COLLECTION)


def test_updates_go_through(bare: pysolr.SolrCloud, reranked: pysolr.SolrCloud) -> None:
    """What a wrapped client adds is found by it and by the bare one, and what it deletes is gone for both."""
    clients, key, count = (bare, reranked), f"{PREFIX}new", bare.search(f"id:{PREFIX}*").hits
    reranked.add([{"id": key, "title": "shoe 99", "text": "a sandal"}], commit=True)
    assert [[hit["id"] for hit in client.search("text:sandal")] for client in clients] == [[key], [key]]
    reranked.delete(id=key, commit=True)
    assert [client.search("text:sandal").hits for client in clients] == [0, 0]
    assert reranked.search(f"id:{PREFIX}*").hits == count


def test_pages_put_together_are_the_ranking(reranked: pysolr.SolrCloud) -> None:
    """Pages over two shards have every hit once, in the order of one large page."""
    whole = [hit["id"] for hit in reranked.search(**arguments("edismax", rows=WINDOW))]
    pages = [reranked.search(**arguments("edismax", start=start, rows=7)) for start in range(0, len(whole), 7)]
    assert [hit["id"] for page in pages for hit in page] == whole


def test_retries_are_pysolrs_own(
    bare: pysolr.SolrCloud, reranked: pysolr.SolrCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """A search that Solr refuses is tried as often as the bare client does, and fails in the same words."""
    problems, tries = [], []
    for client in (bare, reranked):
        caplog.clear()
        with pytest.raises(pysolr.SolrError) as raised:
            client.search("text:(", defType="lucene")
        problems.append(str(raised.value))
        tries.append([record.name for record in caplog.records].count("pysolr"))
    assert problems[0].partition("?")[0] == problems[1].partition("?")[0]
    assert "failed after 2 attempts" in problems[1]


def test_another_node_answers(reranked: pysolr.SolrCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a node that ZooKeeper names does not answer, pysolr's next choice does, and its reply is reranked."""
    asked = arguments("edismax", rows=5, fl="id")
    expected = reranked.search(**asked).docs
    nodes, alive = iter(["http://127.0.0.1:1/solr/docs"]), reranked.zookeeper.getRandomURL

    def choice(name: str, **kind: bool) -> str:
        return next(nodes, None) or alive(name, **kind)

    monkeypatch.setattr(reranked.zookeeper, "getRandomURL", choice)
    assert reranked.search(**asked).docs == expected
    assert next(nodes, None) is None


def test_unknown_collections_fail_as_without_rebridge(zookeeper: pysolr.ZooKeeper) -> None:
    """A collection that ZooKeeper does not know cannot be opened at all."""
    with pytest.raises(pysolr.SolrError, match="Unknown collection: missing"):
        wrap(pysolr.SolrCloud(zookeeper, "missing"), PipelineConfig(), scorer=FakeScorer(shuffled))
