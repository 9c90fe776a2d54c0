"""Elasticsearch that reranks by itself. Only the official image has the inference API; a local build lacks it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import requests
from tests.server.reranking import application, serving
from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.testing import FakeScorer

from .conftest import CLUSTER_READY
from .engines import Engines

TEXTS = {"1": "low", "2": "high", "3": "middle"}


def native(action: str, url: str, *options: str) -> Result:
    """`rebridge native install` or `remove`."""
    return CliRunner().invoke(app, ["native", action, "elasticsearch", "--url", url, "--inference-id", "b", *options])


def has_inference(url: str) -> bool:
    """Whether an Elasticsearch has the inference API."""
    return "no handler" not in requests.get(f"{url}/_inference/rerank/b", timeout=30).text


@pytest.fixture(scope="module")
def licensed_url(engines: Engines, elasticsearch_url: str) -> str:
    """An Elasticsearch with a trial licence which can call a server on 127.0.0.1."""
    if not has_inference(elasticsearch_url):
        pytest.skip("this build of Elasticsearch has no inference API: needs the official image")
    trial = {"xpack.license.self_generated.type": "trial"}
    return engines.start("licensed", "elasticsearch", CLUSTER_READY, on_host_network=True, environment=trial)


@pytest.fixture
def server() -> Iterator[str]:
    with serving(application(FakeScorer({"low": -1 / 7, "high": 2.0, "middle": 1 / 3}))) as url:
        yield url


def test_an_elasticsearch_without_the_inference_api(elasticsearch_url: str, server: str) -> None:
    """The message says what is missing and where it is to be had."""
    if has_inference(elasticsearch_url):
        pytest.skip("this build of Elasticsearch has the inference API")
    refused = native("install", elasticsearch_url, "--server", server)
    assert refused.exit_code == 1
    assert "has no inference API: the official distribution of Elasticsearch has it" in str(refused.exception)


@pytest.mark.parametrize("service", ["custom", "hugging_face"])
def test_a_retriever_is_reranked(licensed_url: str, server: str, service: str) -> None:
    """Hits come in the model's order; a second run changes nothing; removing takes the endpoint away."""
    index = f"n{uuid.uuid4().hex[:8]}"
    for key, text in TEXTS.items():
        document = {"text": text}
        made = requests.put(f"{licensed_url}/{index}/_doc/{key}?refresh=true", json=document, timeout=60)
        assert made.ok, made.text
    done = native("install", licensed_url, "--server", server, "--service", service)
    assert done.exit_code == 0, done.exception
    assert f"Elasticsearch asked {server}" in done.output
    inner = {"standard": {"query": {"match_all": {}}}}
    reranker = {"retriever": inner, "field": "text", "inference_id": "b", "inference_text": "q"}
    body = {"retriever": {"text_similarity_reranker": reranker}}
    found = requests.post(f"{licensed_url}/{index}/_search", json=body, timeout=60).json()
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["2", "3", "1"]
    assert "is there already" in native("install", licensed_url, "--server", server, "--service", service).output
    assert native("remove", licensed_url).exit_code == 0
    assert requests.get(f"{licensed_url}/_inference/rerank/b", timeout=30).status_code == 404
