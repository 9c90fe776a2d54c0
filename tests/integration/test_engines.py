"""The engines themselves: what the other integration tests stand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Secured
from .engines import Engines

DOCUMENTS = {
    "d1": {"title": "Trail running shoes", "text": "Light shoes with a grip for wet rock"},
    "d2": {"title": "Office shoes", "text": "Black leather, for the desk"},
    "d3": {"title": "Rain jacket", "text": "Keeps you dry on the trail"},
}
BODY = {"query": {"multi_match": {"query": "trail shoes", "fields": ["title", "text"]}}}
BEST = "d1"


@pytest.fixture
def index() -> str:
    """The name of an index that no other test uses."""
    return f"test-{uuid4().hex[:8]}"


def is_version(found: str, engines: Engines, service: str, key: str | None = None) -> bool:
    """Whether the engine is the one that docker-compose.yml pins; one given by its address may be any."""
    return engines.given(key or service) is not None or found == engines.services[service].version


def search_over_http(url: str, index: str) -> tuple[str, list[str]]:
    """Version, and the ids that a search finds, without a client library."""
    import requests

    with requests.Session() as http:
        for number, (key, document) in enumerate(DOCUMENTS.items(), start=1):
            refresh = {"refresh": "true" if number == len(DOCUMENTS) else "false"}
            http.put(f"{url}/{index}/_doc/{key}", json=document, params=refresh, timeout=30).raise_for_status()
        found = http.post(f"{url}/{index}/_search", json=BODY, timeout=30).json()
        (node,) = http.get(f"{url}/_nodes", timeout=30).json()["nodes"].values()
    return node["version"], [hit["_id"] for hit in found["hits"]["hits"]]


def search_with_client(client: Any, index: str) -> tuple[str, list[str]]:
    """The same through a native client: Elasticsearch's and OpenSearch's agree as far as this goes."""
    for key, document in DOCUMENTS.items():
        client.index(index=index, id=key, body=document)
    client.indices.refresh(index=index)
    found = client.search(index=index, body=BODY)
    (node,) = client.nodes.info()["nodes"].values()
    return node["version"], [hit["_id"] for hit in found["hits"]["hits"]]


def test_elasticsearch_searches_through_its_client(elasticsearch_url: str, index: str, engines: Engines) -> None:
    """Three documents go in through the client, and the best of them comes out first."""
    elasticsearch = pytest.importorskip("elasticsearch", reason="pip install 'rebridge[elasticsearch]'")
    with closing(elasticsearch.Elasticsearch(elasticsearch_url)) as client:
        found, ids = search_with_client(client, index)
    assert is_version(found, engines, "elasticsearch")
    assert ids[0] == BEST
    assert set(ids) == set(DOCUMENTS)


def test_elasticsearch_8_searches(elasticsearch8_url: str, index: str, engines: Engines) -> None:
    """Elasticsearch 8 serves plain HTTP, and its own client where that is the one installed."""
    found, ids = search_over_http(elasticsearch8_url, index)
    assert is_version(found, engines, "elasticsearch8")
    assert ids[0] == BEST
    if version("elasticsearch").startswith("8."):
        from elasticsearch import Elasticsearch

        with closing(Elasticsearch(elasticsearch8_url)) as client:
            assert search_with_client(client, index) == (found, ids)


@pytest.mark.parametrize("service", ["opensearch", "opensearch-ml"])
def test_opensearch_searches_through_its_client(
    service: str, index: str, engines: Engines, request: pytest.FixtureRequest
) -> None:
    """Three documents go in through the client, and the best of them comes out first."""
    opensearchpy = pytest.importorskip("opensearchpy", reason="pip install 'rebridge[opensearch]'")
    key = service.replace("-", "_")
    with closing(opensearchpy.OpenSearch(request.getfixturevalue(f"{key}_url"))) as client:
        found, ids = search_with_client(client, index)
    assert is_version(found, engines, service, key)
    assert ids[0] == BEST
    assert set(ids) == set(DOCUMENTS)


def test_opensearch_ml_can_rerank(opensearch_ml_url: str) -> None:
    """It takes a search pipeline with the rerank processor, which plain distributions do not know."""
    import requests

    processor: dict[str, Any] = {
        "rerank": {"ml_opensearch": {"model_id": "none"}, "context": {"document_fields": ["text"]}}
    }
    url = f"{opensearch_ml_url}/_search/pipeline/test"
    reply = requests.put(url, json={"response_processors": [processor]}, timeout=30)
    assert reply.ok, reply.text


@pytest.fixture(params=["solr", "solrcloud"])
def solr(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A pysolr client on an emptied core, standalone and as a cloud."""
    pysolr = pytest.importorskip("pysolr", reason="pip install 'rebridge[solr]'")
    client = pysolr.Solr(request.getfixturevalue(f"{request.param}_url"), timeout=30, always_commit=True)
    client.delete(q="*:*")
    yield client
    client.delete(q="*:*")
    client.get_session().close()


def test_solr_searches_through_its_client(solr: Any, engines: Engines) -> None:
    """Three documents go in through the client, and the best of them comes out first; title and text are stemmed."""
    import requests

    numbered = enumerate(DOCUMENTS.items())
    solr.add([{"id": key, **document, "tag_s": "a", "price_i": number} for number, (key, document) in numbered])
    found = solr.search("trails shoe", defType="edismax", qf="title text", fl="id,score,tag_s,price_i")
    assert next(hit["id"] for hit in found) == BEST
    assert found.hits == len(DOCUMENTS)
    assert solr.search("tag_s:a AND price_i:[1 TO *]").hits == 2
    system = requests.get(solr.url.removesuffix("/docs") + "/admin/info/system", timeout=30).json()
    assert is_version(system["lucene"]["solr-spec-version"], engines, "solr", "solr")


def test_solrcloud_has_two_shards(solrcloud_url: str) -> None:
    """The collection is spread, so that a search has to merge."""
    import requests

    url = solrcloud_url.removesuffix("/docs") + "/admin/collections"
    status = requests.get(url, params={"action": "CLUSTERSTATUS", "collection": "docs"}, timeout=30).json()
    assert len(status["cluster"]["collections"]["docs"]["shards"]) == 2


def test_elasticsearch_refuses_a_wrong_password(elasticsearch_tls: Secured) -> None:
    """A wrong password is 401, the right one is let in."""
    elasticsearch = pytest.importorskip("elasticsearch", reason="pip install 'rebridge[elasticsearch]'")
    url, ca = elasticsearch_tls.url, str(elasticsearch_tls.ca)
    right = (elasticsearch_tls.user, elasticsearch_tls.password)
    with closing(elasticsearch.Elasticsearch(url, ca_certs=ca, basic_auth=right)) as client:
        assert client.cluster.health()["status"] in {"green", "yellow"}
    wrong = (elasticsearch_tls.user, "wrong")
    with (
        closing(elasticsearch.Elasticsearch(url, ca_certs=ca, basic_auth=wrong)) as client,
        pytest.raises(elasticsearch.AuthenticationException) as refused,
    ):
        client.cluster.health()
    assert refused.value.status_code == 401


def test_a_certificate_of_an_unknown_authority_is_refused(elasticsearch_tls: Secured) -> None:
    """Without the authority's certificate, verification fails; nothing is sent."""
    elasticsearch = pytest.importorskip("elasticsearch", reason="pip install 'rebridge[elasticsearch]'")
    login = (elasticsearch_tls.user, elasticsearch_tls.password)
    with (
        closing(elasticsearch.Elasticsearch(elasticsearch_tls.url, basic_auth=login, max_retries=0)) as client,
        pytest.raises(elasticsearch.SSLError) as refused,
    ):
        client.cluster.health()
    assert "CERTIFICATE_VERIFY_FAILED" in refused.value.message
