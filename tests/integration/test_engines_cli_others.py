"""The commands on Solr, on an engine that asks who is there, and on one that is not what it was taken for."""

from __future__ import annotations

import hashlib
import json
import ssl
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.shop import rebridge

from rebridge.errors import ConnectorError

from .commands import Place
from .conftest import Secured


def test_the_engine_that_it_is_not(elasticsearch_url: str, opensearch_url: str, home: Path) -> None:
    """OpenSearch that is taken for Elasticsearch is not written to, and the right connector is named."""
    place = Place("elasticsearch", opensearch_url, "d_never_made")
    told = place.fill("--engine", place.engine, "--url", place.url, code=1).stderr
    assert "name: opensearch" in told
    assert requests.get(f"{opensearch_url}/d_never_made", timeout=30).status_code == 404
    assert list((home / "configs").iterdir()) == []


def test_solr_from_a_file_to_answers(home: Path, solrcloud_url: str) -> None:
    """A file becomes a collection with the fields of the documents, which is searched, filtered and checked."""
    place = Place("solr", solrcloud_url.rpartition("/")[0], f"d_{uuid.uuid4().hex}")
    try:
        assert "now holds 4" in place.fill_new().stdout
        options = ("--no-rerank", "--json", "--filter", "lang=en", "--filter", "year>=2021")
        found = json.loads(rebridge("search", place.index, "shoes", *options).stdout)
        assert [hit["id"] for hit in found["hits"]] == ["b"]
        assert f"{place.index}: ok" in rebridge("config", "check", place.index, "--live").stdout
        file = home / "configs" / f"{place.index}.yaml"
        file.write_text(file.read_text().replace("title: 1\n", "titel: 1\n  year: 1\n"))
        told = rebridge("config", "check", place.index, "--live", code=2).stderr
        assert "query_fields.titel: is not in the index. Did you mean 'title'?" in told
        assert "query_fields.year: is plong, which is not searched by words" in told
    finally:
        params = {"action": "DELETE", "name": place.index}
        requests.get(f"{place.url}/admin/collections", params=params, timeout=60)


def test_solr_without_a_core(home: Path, solr_url: str) -> None:
    """Where only Solr's own machine can make a core, the command for it is told, and no pipeline file is left."""
    place = Place("solr", solr_url.rpartition("/")[0], f"d_{uuid.uuid4().hex}")
    told = place.fill("--engine", place.engine, "--url", place.url, code=1).stderr
    assert f"docker exec NAME solr create -c {place.index}" in told
    assert list((home / "configs").iterdir()) == []


class TestSecured:
    """Elasticsearch with TLS and a password."""

    @pytest.fixture
    def write(self, home: Path, elasticsearch_tls: Secured) -> Any:
        """Writes the pipeline file, without user and password."""
        (home / "configs").mkdir()

        def write(**keys: str) -> None:
            section = {"name": "elasticsearch", "hosts": [elasticsearch_tls.url], **keys}
            section["fields"] = {"title": "text", "text": "text"}
            (home / "configs" / "docs.yaml").write_text(json.dumps({"connector": section}))

        return write

    def test_who_may(self, write: Any, elasticsearch_tls: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
        """With its authority's certificate, and user and password from the environment, everything works."""
        write(ca_certs=str(elasticsearch_tls.ca))
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__CONNECTOR__USER", elasticsearch_tls.user)
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__CONNECTOR__PASSWORD", elasticsearch_tls.password)
        assert "now holds 4" in rebridge("index", "docs", "docs.jsonl").stdout
        assert "docs: ok" in rebridge("config", "check", "docs", "--live").stdout
        assert elasticsearch_tls.password not in rebridge("config", "show", "docs").stdout
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__CONNECTOR__PASSWORD", "wrong")
        told = rebridge("search", "docs", "shoes", "--no-rerank", code=1).stderr
        assert f"does not let the user '{elasticsearch_tls.user}' in (401)" in told
        assert len(told.splitlines()) == 1

    def test_unknown_authority(self, write: Any, elasticsearch_tls: Secured) -> None:
        """A certificate that nobody known has signed is refused, with the key that cures it."""
        write()
        assert "set `ca_certs`" in rebridge("config", "check", "docs", "--live", code=2).stderr

    def test_no_tls(self, write: Any, elasticsearch_tls: Secured) -> None:
        """An http address of an engine that speaks TLS is told as that."""
        write(hosts=elasticsearch_tls.url.replace("https:", "http:"))
        assert "write https://" in rebridge("config", "check", "docs", "--live", code=2).stderr

    def test_fingerprint(self, write: Any, elasticsearch_tls: Secured) -> None:
        """The fingerprint of the engine's certificate does instead of a file, and another one is refused."""
        sent = ssl.get_server_certificate(("127.0.0.1", int(elasticsearch_tls.url.rpartition(":")[2])))
        right = hashlib.sha256(ssl.PEM_cert_to_DER_cert(sent)).hexdigest()
        write(ca_fingerprint=right)
        assert "somebody without a name" in rebridge("config", "check", "docs", "--live", code=2).stderr
        write(ca_fingerprint="00" * 32)
        assert "not the one of `ca_fingerprint`" in rebridge("config", "check", "docs", "--live", code=2).stderr

    def test_without_verification(self, write: Any, elasticsearch_tls: Secured) -> None:
        """verify_certs: false talks to it all the same, and a user is asked for."""
        write(verify_certs=False)
        assert "somebody without a name" in rebridge("config", "check", "docs", "--live", code=2).stderr


def test_older_server(elasticsearch8_url: str, home: Path) -> None:
    """A server of another major version says which client to install."""
    place = Place("elasticsearch", elasticsearch8_url, "docs")
    told = place.fill("--engine", place.engine, "--url", place.url, code=1).stderr
    assert "pip install 'elasticsearch<9'" in told


def test_a_partial_answer_is_an_error_with_its_status(opensearch_url: str) -> None:
    """A search that the engine refuses raises its reason and status, for whoever wants to fall back."""
    from rebridge.connector import load
    from rebridge_query_dsl.request import Request

    connector, index = load("opensearch"), f"d_{uuid.uuid4().hex}"
    settings = connector.settings.model_validate({"hosts": opensearch_url, "index": index, "fields": {"a": "text"}})
    engine = connector.open(settings, create=True)
    try:
        with pytest.raises(ConnectorError, match="Result window is too large") as caught:
            engine.search(Request(body={"size": 10_001}))
    finally:
        engine.close()
        requests.delete(f"{opensearch_url}/{index}", timeout=30)
    assert getattr(caught.value, "status_code", None) == 400
