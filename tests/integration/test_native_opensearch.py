"""OpenSearch that reranks by itself: `rebridge native` on a real one, with our rerank API on this machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from fastapi import FastAPI, Request, Response
from tests.server.reranking import application, serving
from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.testing import FakeScorer

TRUSTED = "plugins.ml_commons.trusted_connector_endpoints_regex"
PRIVATE = "plugins.ml_commons.connector.private_ip_enabled"
DOCUMENTS = {
    "1": {"title": "low", "body": "first words"},
    "2": {"title": "high", "body": "second words"},
    "3": {"title": "middle", "body": "third words"},
    "4": {"other": "low first"},
}
#: Long, short, whole and negative ones.
SCORES = {"low": -1.0 / 7, "high": 2.0, "middle": 1 / 3, "": -5.0}


def rebridge(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, ["native", *arguments])


def guarded(scorer: FakeScorer, key: str) -> FastAPI:
    """A rerank API that wants a key."""
    api = application(scorer, also=["other"])

    @api.middleware("http")
    async def check(request: Request, call_next: Any) -> Response:
        if request.headers.get("authorization") != f"Bearer {key}":
            return Response('{"message": "no valid API key"}', 401, media_type="application/json")
        answer: Response = await call_next(request)
        return answer

    return api


class Cluster:
    """An OpenSearch with an index of its own and what is installed under a name of its own."""

    def __init__(self, url: str) -> None:
        self.url, self.name = url, f"n{uuid.uuid4().hex[:8]}"
        lines = [line for key, each in DOCUMENTS.items() for line in ({"index": {"_id": key}}, each)]
        self.call("PUT", f"/{self.name}", {"settings": {"number_of_shards": 1}})
        for key, each in zip(lines[::2], lines[1::2], strict=True):
            self.call("PUT", f"/{self.name}/_doc/{key['index']['_id']}?refresh=true", each)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        return requests.request(method, self.url + path, json=body, timeout=60).json()

    def install(self, server: str, *options: str, fields: tuple[str, ...] = ("title",)) -> Result:
        """`rebridge native install opensearch`."""
        given = [text for field in fields for text in ("--field", field)]
        where = ["--url", self.url, "--server", server, "--pipeline", self.name]
        return rebridge("install", "opensearch", *where, *given, *options)

    def remove(self) -> Result:
        """`rebridge native remove opensearch`."""
        return rebridge("remove", "opensearch", "--url", self.url, "--pipeline", self.name)

    def search(self, query: Mapping[str, Any] | None = None, text: str | None = "q", **body: Any) -> Any:
        """The reply of a search through the pipeline."""
        ext = {"ext": {"rerank": {"query_context": {"query_text": text}}}} if text is not None else {}
        path = f"/{self.name}/_search?search_pipeline={self.name}"
        return self.call("POST", path, {"query": query or {"match_all": {}}, **ext, **body})

    def hits(self, *arguments: Any, **body: Any) -> list[tuple[str, float]]:
        """Id and score of each hit."""
        return [(hit["_id"], hit["_score"]) for hit in self.search(*arguments, **body)["hits"]["hits"]]

    def ids(self, kind: str) -> set[str]:
        """Connectors, models or model groups of this name."""
        query = {"query": {"term": {"name.keyword": self.name}}}
        return {hit["_id"] for hit in self.call("POST", f"/_plugins/_ml/{kind}/_search", query)["hits"]["hits"]}

    def everything(self) -> Any:
        """All that is installed."""
        kinds = ("connectors", "models", "model_groups")
        return [self.call("GET", f"/_search/pipeline/{self.name}"), *(self.ids(kind) for kind in kinds)]

    @contextmanager
    def settings(self, **values: Any) -> Iterator[None]:
        """Persistent settings of the cluster, for a while."""
        names = {"trusted": TRUSTED, "private": PRIVATE}
        given = {names[key]: value for key, value in values.items()}
        try:
            self.call("PUT", "/_cluster/settings", {"persistent": given})
            yield
        finally:
            self.call("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(names.values())})


@pytest.fixture
def cluster(opensearch_ml_url: str) -> Iterator[Cluster]:
    made = Cluster(opensearch_ml_url)
    yield made
    made.remove()
    made.call("DELETE", f"/{made.name}")


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(SCORES)


@pytest.fixture
def server(scorer: FakeScorer) -> Iterator[str]:
    with serving(application(scorer, also=["other"])) as url:
        yield url


def test_a_search_is_reranked(cluster: Cluster, server: str) -> None:
    """Hits come in the model's order with the model's scores, one without the field as an empty text."""
    done = cluster.install(server)
    assert done.exit_code == 0, done.output
    assert f"OpenSearch asked {server}: the scores of two texts are 0 and 0." in done.output
    found = dict(cluster.hits())
    assert list(found) == ["2", "3", "1", "4"]
    assert found == pytest.approx({"2": 2.0, "3": 1 / 3, "1": -1 / 7, "4": -5.0}, rel=1e-6)  # OpenSearch has float32


def test_only_what_the_engine_found_is_reranked(cluster: Cluster, server: str, scorer: FakeScorer) -> None:
    """A page is reranked, no more; a search that finds nothing asks nobody."""
    assert cluster.install(server).exit_code == 0
    asked = len(scorer.calls)
    assert cluster.hits({"match": {"title": "absent"}}) == []
    assert len(scorer.calls) == asked
    assert cluster.hits({"term": {"title.keyword": "low"}}) == [("1", pytest.approx(-1 / 7))]
    assert scorer.calls[-1] == ("q", ("low",))


def test_several_fields(cluster: Cluster, server: str, scorer: FakeScorer) -> None:
    """Fields are read in the order that was given; OpenSearch puts nothing between them."""
    assert cluster.install(server, fields=("title", "body")).exit_code == 0
    cluster.search({"match": {"title": "high"}})
    assert scorer.calls[-1] == ("q", ("highsecond words",))
    assert cluster.install(server, fields=("body", "title")).exit_code == 0
    cluster.search({"match": {"title": "high"}})
    assert scorer.calls[-1] == ("q", ("second wordshigh",))


@pytest.mark.parametrize("text", ['say "hi" \\ and\n go', "Gr\u00fc\u00dfe \U0001f600", "{} ${x} $1"])
def test_any_query_text_arrives(cluster: Cluster, server: str, scorer: FakeScorer, text: str) -> None:
    """Quotes, line breaks and letters of all kinds reach the model as they are."""
    assert cluster.install(server).exit_code == 0
    cluster.search({"match": {"title": "high"}}, text)
    assert scorer.calls[-1] == (text, ("high",))


def test_a_server_that_is_down(cluster: Cluster, scorer: FakeScorer) -> None:
    """Searches then come in the engine's order, or fail, as was asked for."""
    with serving(application(scorer)) as url:
        assert cluster.install(url).exit_code == 0
        query = {"match": {"body": "words"}}
        plain = cluster.call("POST", f"/{cluster.name}/_search", {"query": query})["hits"]["hits"]
        assert [hit_id for hit_id, _ in cluster.hits(query)] == ["2", "3", "1"]
    assert cluster.search(query)["hits"]["hits"] == plain
    with serving(application(scorer)) as url:
        assert cluster.install(url, "--no-ignore-failure").exit_code == 0
        assert [hit_id for hit_id, _ in cluster.hits(query)] == ["2", "3", "1"]
    assert "Error communicating with remote model" in cluster.search(query)["error"]["reason"]


def test_searches_that_are_not_to_be_reranked(cluster: Cluster, server: str) -> None:
    """Without `ext.rerank`, or without hits to show, a search is answered as ever; only --no-ignore-failure minds."""
    assert cluster.install(server).exit_code == 0
    assert cluster.hits({"match_all": {}}, None) == [(key, 1.0) for key in DOCUMENTS]
    assert cluster.search(size=0)["hits"]["total"]["value"] == len(DOCUMENTS)
    assert cluster.install(server, "--no-ignore-failure").exit_code == 0
    assert "error" in cluster.search(text=None)
    assert "error" in cluster.search(size=0)


def test_a_second_run_changes_nothing(cluster: Cluster, server: str) -> None:
    """What is there as wanted stays, under the same ids."""
    assert cluster.install(server).exit_code == 0
    before = cluster.everything()
    again = cluster.install(server)
    assert again.exit_code == 0, again.output
    assert again.output.count("there already") == 2
    assert cluster.everything() == before
    assert [len(each) for each in before[1:]] == [1, 1, 1]


def test_another_model(cluster: Cluster, server: str) -> None:
    """A change replaces the model and points the pipeline at the new one; a model that is not there changes nothing."""
    assert cluster.install(server).exit_code == 0
    first = cluster.everything()
    assert cluster.install(server, "--model", "other").exit_code == 0
    second = cluster.everything()
    assert [len(each) for each in second[1:]] == [1, 1, 1]
    assert not first[2] & second[2]
    assert cluster.hits()[0] == ("2", 2.0)
    refused = cluster.install(server, "--model", "absent")
    assert refused.exit_code == 1
    assert "unknown model 'absent'" in str(refused.exception)
    assert cluster.everything() == second


def test_a_server_with_keys(cluster: Cluster, scorer: FakeScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the environment, is shown nowhere, and can be changed."""
    monkeypatch.setenv("BRIDGE_KEY", "sesame")
    with serving(guarded(scorer, "sesame")) as url:
        without = cluster.install(url)
        assert "--api-key-env" in str(without.exception)
        assert not any(cluster.everything()[:3])
        done = cluster.install(url, "--api-key-env", "BRIDGE_KEY")
        assert done.exit_code == 0, done.exception
        assert cluster.hits()[0] == ("2", 2.0)
        monkeypatch.setenv("BRIDGE_KEY", "wrong")
        wrong = cluster.install(url, "--api-key-env", "BRIDGE_KEY")
        assert cluster.hits()[0] == ("2", 2.0)
    for text in (done.output, str(without.exception), str(wrong.exception), str(cluster.everything())):
        assert "sesame" not in text
        assert "wrong" not in text


def test_what_the_cluster_allows(cluster: Cluster, server: str) -> None:
    """The server is trusted besides those that were; private addresses are opened only if asked for."""
    cohere = "^https://api\\.cohere\\.ai/.*$"
    with cluster.settings(trusted=[cohere], private=False):
        refused = cluster.install(server)
        assert refused.exit_code == 1
        assert "--allow-private-ip" in str(refused.exception)
        assert not any(cluster.everything()[:3])
        done = cluster.install(server, "--allow-private-ip")
        assert done.exit_code == 0, done.exception
        settings = cluster.call("GET", "/_cluster/settings?flat_settings=true")["persistent"]
        assert settings[TRUSTED] == [cohere, f"^{server.replace('.', chr(92) + '.')}/.*$"]
        assert settings[PRIVATE] == "true"
        assert cluster.hits()[0] == ("2", 2.0)


def test_a_server_that_nobody_can_reach(cluster: Cluster) -> None:
    """Nothing is installed then, and the message says what the engine's machine must see."""
    refused = cluster.install("http://127.0.0.1:1")
    assert refused.exit_code == 1
    assert "cannot reach the server: start `rebridge serve`" in str(refused.exception)
    assert not any(cluster.everything()[:3])


def test_a_pipeline_of_somebody_else(cluster: Cluster, server: str) -> None:
    """A pipeline that is not ours is neither changed nor removed; processors added to ours stay."""
    path = f"/_search/pipeline/{cluster.name}"
    theirs = {"response_processors": [{"hybrid_score_explanation": {}}]}
    cluster.call("PUT", path, theirs)
    assert "--pipeline" in str(cluster.install(server).exception)
    assert "--pipeline" in str(cluster.remove().exception)
    assert cluster.everything()[0] == {cluster.name: theirs}
    cluster.call("DELETE", path)
    assert cluster.install(server).exit_code == 0
    ours = cluster.call("GET", path)[cluster.name]["response_processors"]
    cluster.call("PUT", path, {"response_processors": [*ours, *theirs["response_processors"]]})
    assert cluster.install(server, "--model", "other").exit_code == 0
    assert cluster.call("GET", path)[cluster.name]["response_processors"][1:] == theirs["response_processors"]
    assert cluster.hits()[0] == ("2", 2.0)
    assert "its other processors stay" in cluster.remove().output
    assert cluster.everything()[0] == {cluster.name: theirs}
    cluster.call("DELETE", path)


def test_removing(cluster: Cluster, server: str) -> None:
    """Nothing is left, and doing it again is no error."""
    assert cluster.install(server).exit_code == 0
    assert all(cluster.everything())
    done = cluster.remove()
    assert done.exit_code == 0, done.exception
    assert not any(cluster.everything())
    assert "There is nothing" in cluster.remove().output


def test_a_dry_run(cluster: Cluster, server: str) -> None:
    """The requests are printed, and nothing is changed."""
    done = cluster.install(server, "--dry-run")
    assert done.exit_code == 0, done.exception
    assert "_plugins/_ml/connectors/_create" in done.output
    assert not any(cluster.everything())
