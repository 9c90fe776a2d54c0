"""`rebridge native` on a stand-in for Elasticsearch, which asks a real rerank API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rebridge.testing import FakeScorer

pytest.importorskip("elasticsearch", reason="needs the client: pip install 'rebridge[elasticsearch]'")

from tests.connectors.native_engines import FakeElasticsearch, refusal
from tests.connectors.standin import serving
from tests.server.reranking import application
from tests.server.reranking import serving as serving_app

from .native_commands import elasticsearch, rebridge


@pytest.fixture
def elastic() -> Iterator[FakeElasticsearch]:
    """An Elasticsearch."""
    with serving(FakeElasticsearch()) as engine:
        yield engine  # type: ignore[misc]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A rerank server."""
    with serving_app(application(FakeScorer({"Mars is a red planet.": 0.9}, default=0.25), also=["other"])) as url:
        yield url


ML = "/_plugins/_ml"
REFUSALS = [
    (("POST", f"{ML}/connectors/_search"), 400, {"error": f"no handler found for uri [{ML}/x]"}, "has no ML Commons"),
    (("PUT", "/_search/pipeline/p"), 400, "Invalid processor type rerank", "opensearch-neural-search"),
    (("POST", f"{ML}/connectors/_create"), 400, "not matching the trusted connector endpoint regex", "does not trust"),
    (("POST", f"{ML}/connectors/_create"), 500, "The ML encryption master key has not been initialized", "10 seconds"),
    (("POST", f"{ML}/_predict/text_similarity/ID"), 400, "host name has private ip address", "--allow-private-ip"),
    (("POST", f"{ML}/_predict/text_similarity/ID"), 401, "Error from remote service: no key", "--api-key-env"),
    (("GET", "/"), 401, "Unauthorized", "REBRIDGE_ENGINE__PASSWORD"),
    (("PUT", "/_cluster/settings"), 403, "no permissions", "ml_full_access"),
    (("GET", "/"), 200, {"version": {"number": "9.2.4"}}, "rebridge native install elasticsearch"),
]


def test_elasticsearch_gets_what_its_specification_shows(elastic: FakeElasticsearch, server: str) -> None:
    """The request of the service `custom` is that of the specification's example; Elasticsearch can use it."""
    done = elasticsearch(elastic, "--model", "other", server=server)
    assert done.exit_code == 0, done.exception
    # elasticsearch-specification, put_custom/examples/request/PutCustomRequestExample2.yaml
    assert elastic.endpoints["b"] == {
        "service": "custom",
        "service_settings": {
            "secret_parameters": {"api_key": "none"},
            "url": f"{server}/v2/rerank",
            "headers": {"Authorization": "Bearer ${api_key}", "Content-Type": "application/json"},
            "request": '{"documents": ${input}, "query": ${query}, "model": "other"}',
            "response": {
                "json_parser": {
                    "reranked_index": "$.results[*].index",
                    "relevance_score": "$.results[*].relevance_score",
                }
            },
        },
    }
    assert f"Elasticsearch asked {server}: the scores of two texts are 0.9 and 0.25." in done.output


def test_elasticsearch_by_the_service_hugging_face(elastic: FakeElasticsearch, server: str) -> None:
    """This service names no model in what it sends, so its address does."""
    done = elasticsearch(elastic, "--service", "hugging_face", "--model", "other", server=server)
    assert done.exit_code == 0, done.exception
    settings = {"url": f"{server}/huggingface/rerank?model=other", "api_key": "none"}
    assert elastic.endpoints["b"] == {"service": "hugging_face", "service_settings": settings}
    assert "the scores of two texts are 0.9 and 0.25." in done.output


def test_an_endpoint_is_made_anew_where_it_differs(
    elastic: FakeElasticsearch, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run changes nothing; another model, service or key does."""
    monkeypatch.setenv("KEY", "sesame")
    assert elasticsearch(elastic, server=server).exit_code == 0
    writes = len(elastic.written())
    for options, changed in (
        ([], False),
        (["--model", "other"], True),
        (["--model", "other"], False),
        (["--service", "hugging_face"], True),
        (["--service", "hugging_face"], False),
        (["--service", "hugging_face", "--api-key-env", "KEY"], True),
        (["--service", "hugging_face", "--api-key-env", "KEY"], True),
    ):
        done = elasticsearch(elastic, *options, server=server)
        assert done.exit_code == 0, done.exception
        assert ("there already" not in done.output) is changed
        assert "sesame" not in done.output
        now = [call for call in elastic.written() if call[0] != "POST"]
        assert now[writes:] == (
            [("DELETE", "/_inference/rerank/b"), ("PUT", "/_inference/rerank/b")] if changed else []
        )
        writes = len(now)
    assert elastic.endpoints["b"]["service_settings"]["api_key"] == "sesame"


def test_endpoints_of_others_stay(elastic: FakeElasticsearch) -> None:
    """What asks something else than a rerank server is neither changed nor removed."""
    theirs = {"service": "cohere", "service_settings": {"model_id": "rerank-v3.5"}}
    elastic.endpoints["b"] = theirs
    remove = ["remove", "elasticsearch", "--url", elastic.url, "--inference-id", "b"]
    for done in (elasticsearch(elastic), rebridge(*remove)):
        assert done.exit_code == 1
        assert "give another --inference-id" in str(done.exception)
    assert elastic.endpoints == {"b": theirs}


def test_elasticsearch_is_left_as_it_was(elastic: FakeElasticsearch, server: str) -> None:
    """Removing takes the endpoint away; doing it again is no error."""
    assert elasticsearch(elastic, server=server).exit_code == 0
    remove = ["remove", "elasticsearch", "--url", elastic.url, "--inference-id", "b"]
    assert rebridge(*remove).output == "Inference endpoint 'b' removed.\n"
    assert not elastic.endpoints
    assert rebridge(*remove).output == "There is no inference endpoint 'b'.\n"


INFERENCE = "/_inference/rerank/b"
ELASTIC_REFUSALS = [
    ("GET", 400, {"error": "no handler found for uri [/_inference/rerank/b]"}, "has no inference API"),
    ("PUT", 400, "Unknown service [custom]", "8.19 or 9.1"),
    ("PUT", 403, "current license is non-compliant for [inference]", "_license/start_trial"),
    ("PUT", 403, "action [cluster:admin/xpack/inference/put] is unauthorized", "manage_inference"),
    ("PUT", 401, "missing authentication credentials", "REBRIDGE_ENGINE__API_KEY"),
    (
        "POST",
        401,
        "Received an authentication error status code for request from inference entity id [b] status [401]",
        "--api-key-env",
    ),
    ("POST", 500, "Connect to bridge:8080 failed: Connection refused", "cannot reach the server"),
    ("POST", 200, {"rerank": [{"index": 0, "relevance_score": 1.0}]}, "has not got one score for each of 2 texts"),
]


@pytest.mark.parametrize(
    ("method", "status", "said", "cure"), ELASTIC_REFUSALS, ids=[case[-1] for case in ELASTIC_REFUSALS]
)
def test_elasticsearch_refuses(elastic: FakeElasticsearch, method: str, status: int, said: Any, cure: str) -> None:
    """Each refusal is told with its cause and what to do."""
    elastic.broken[method, INFERENCE] = (
        status,
        said if isinstance(said, dict) else refusal("some_exception", said),
    )
    failed = elasticsearch(elastic)
    assert failed.exit_code == 1
    assert cure in str(failed.exception)
