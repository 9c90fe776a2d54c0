"""`rebridge native` on a stand-in for OpenSearch. The real one: tests/integration/test_native_opensearch.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("opensearchpy", reason="needs the client: pip install 'rebridge[opensearch]'")

from tests.connectors.native_engines import FakeOpenSearch, refusal
from tests.connectors.standin import serving

from .native_commands import BRIDGE, opensearch, rebridge

TRUSTED = "plugins.ml_commons.trusted_connector_endpoints_regex"
PRIVATE = "plugins.ml_commons.connector.private_ip_enabled"
COHERE = "^https://api\\.cohere\\.ai/.*$"


@pytest.fixture
def amazon() -> Iterator[FakeOpenSearch]:
    """An OpenSearch."""
    with serving(FakeOpenSearch()) as engine:
        yield engine  # type: ignore[misc]


def test_opensearch_gets_what_its_documentation_shows(amazon: FakeOpenSearch) -> None:
    """Connector, model and pipeline are those of the documentation of reranking by Cohere."""
    done = opensearch(amazon, "--model", 'big "one"')
    assert done.exit_code == 0, done.exception
    (connector,) = amazon.things["connectors"].values()
    (action,) = connector["actions"]
    assert action["url"] == "http://bridge:8080/v1/rerank"
    assert action["pre_process_function"] == "connector.pre_process.cohere.rerank"
    assert action["post_process_function"] == "connector.post_process.cohere.rerank"
    asked = {"documents": '["a"]', "query": "q", "top_n": "1"}
    text = re.sub(r"\$\{parameters\.(\w+)\}", lambda slot: asked[slot[1]], action["request_body"])
    expected = {"documents": ["a"], "query": "q", "top_n": 1, "model": 'big "one"', "return_documents": False}
    assert json.loads(text) == expected
    ((key, model),) = amazon.things["models"].items()
    assert (model["function_name"], model["connector_id"]) == ("remote", next(iter(amazon.things["connectors"])))
    (processor,) = amazon.pipelines["p"]["response_processors"]
    assert processor["rerank"]["ml_opensearch"] == {"model_id": key}
    assert processor["rerank"]["context"] == {"document_fields": ["title", "body"]}
    assert processor["rerank"]["ignore_failure"] is True
    assert amazon.settings["persistent"] == {TRUSTED: ["^http://bridge:8080/.*$"]}
    assert f"OpenSearch asked {BRIDGE}: the scores of two texts are 0.75 and 0.25." in done.output


def test_trusted_addresses_are_added(amazon: FakeOpenSearch) -> None:
    """Those that were trusted stay so, wherever the list stands; one that fits already is enough."""
    amazon.defaults = {TRUSTED: [COHERE, "(not Python's"], PRIVATE: "false"}
    assert opensearch(amazon, "--allow-private-ip").exit_code == 0
    expected = {TRUSTED: [COHERE, "(not Python's", "^http://bridge:8080/.*$"], PRIVATE: True}
    assert amazon.settings == {"persistent": expected, "transient": {}}
    amazon.settings["transient"] = {TRUSTED: [COHERE]}
    assert opensearch(amazon).exit_code == 0
    assert amazon.settings["transient"] == {TRUSTED: [COHERE, "^http://bridge:8080/.*$"]}
    before = list(amazon.written())
    assert "is trusted already" in opensearch(amazon, "--allow-private-ip").output
    assert amazon.written() == before


def test_what_is_there_is_replaced(amazon: FakeOpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change makes a new model, points the pipeline at it and then removes the old one; so does a key each time."""
    monkeypatch.setenv("KEY", "sesame")
    assert opensearch(amazon).exit_code == 0
    for options in (["--model", "m"], ["--api-key-env", "KEY"], ["--api-key-env", "KEY"]):
        (before,) = amazon.things["models"]
        done = opensearch(amazon, *options)
        assert done.exit_code == 0, done.exception
        assert "sesame" not in done.output
        ((key, model),) = amazon.things["models"].items()
        assert key != before
        assert [model["connector_id"]] == list(amazon.things["connectors"])
        assert amazon.pipelines["p"]["response_processors"][0]["rerank"]["ml_opensearch"] == {"model_id": key}
        order = [path for _, path in amazon.written()]
        pipeline = len(order) - order[::-1].index("/_search/pipeline/p")
        assert f"/_plugins/_ml/models/{before}" in order[pipeline:]
    assert any(
        json.loads(body)["credential"] == {"key": "sesame"} for _, path, body in amazon.asked if "_create" in path
    )


def test_a_model_that_fails_is_not_kept(amazon: FakeOpenSearch) -> None:
    """Where the new model does not work, the old one goes on, and nothing half made stays."""
    assert opensearch(amazon).exit_code == 0
    before = json.dumps([amazon.things, amazon.pipelines])
    predict = ("POST", "/_plugins/_ml/_predict/text_similarity/ID")
    for answer in (
        (500, refusal("status_exception", "Error communicating with remote model: Connection refused")),
        (200, {"inference_results": [{"output": [{"data": [0.5]}]}]}),
        (200, {"inference_results": "none"}),
    ):
        amazon.broken[predict] = answer
        failed = opensearch(amazon, "--model", "m")
        assert failed.exit_code == 1
        assert json.dumps([amazon.things, amazon.pipelines]) == before
    assert "has not got one score for each of 2 texts" in str(failed.exception)
    amazon.broken = {("GET", "/_plugins/_ml/models/ID"): (200, {"model_state": "DEPLOY_FAILED"})}
    assert "could not deploy the model" in str(opensearch(amazon, "--model", "m").exception)
    assert json.dumps([amazon.things, amazon.pipelines]) == before


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


@pytest.mark.parametrize(("where", "status", "said", "cure"), REFUSALS, ids=[case[-1] for case in REFUSALS])
def test_opensearch_refuses(amazon: FakeOpenSearch, where: tuple[str, str], status: int, said: Any, cure: str) -> None:
    """Each refusal is told with its cause and what to do."""
    amazon.broken[where] = (status, said if isinstance(said, dict) else refusal("some_exception", said))
    failed = opensearch(amazon)
    assert failed.exit_code == 1
    assert cure in str(failed.exception)
    if isinstance(said, str) and status != 401:
        assert said in str(failed.exception)


def test_opensearch_is_left_as_it_was(amazon: FakeOpenSearch) -> None:
    """Removing takes away what was made, also where something of it is missing already."""
    assert opensearch(amazon).exit_code == 0
    amazon.things["model_groups"]["g"] = {"name": "p", "description": "Made by `rebridge native install opensearch`."}
    amazon.things["models"]["theirs"] = {"name": "p", "description": "somebody else's"}
    where = ["remove", "opensearch", "--url", amazon.url, "--pipeline", "p"]
    printed = json.loads(rebridge(*where, "--dry-run").output)
    assert {request["method"] for request in printed} == {"DELETE", "POST"}
    assert amazon.pipelines
    del amazon.pipelines["p"]
    assert rebridge(*where).exit_code == 0
    assert amazon.things == {
        "connectors": {},
        "models": {"theirs": amazon.things["models"]["theirs"]},
        "model_groups": {},
    }
    assert rebridge(*where).output == "There is nothing of the name 'p'.\n"
