"""Commands on engines that are reached over HTTP, where no real one is needed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.errors import RebridgeError

pytest.importorskip("elasticsearch", reason="needs the client: pip install 'rebridge[elasticsearch]'")

from tests.connectors.standin import StandIn, serving
from tests.shop import move_in

DOCUMENTS = [{"_id": "a", "title": "Red shoes", "text": "Soft leather shoes."}, {"_id": "b", "title": "Blue hat"}]
EMPTY = {"took": 1, "hits": {"total": {"value": 0, "relation": "eq"}, "max_score": None, "hits": []}}
ELASTIC = {"x-elastic-product": "Elasticsearch"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a file of documents."""
    return move_in(tmp_path, monkeypatch, DOCUMENTS)


def rebridge(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, arguments)


def test_a_new_index(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new index is made on the engine that is named, and its pipeline file says so without any credentials."""
    missing = {"error": {"type": "index_not_found_exception", "reason": "no such index [docs]"}}
    items = [{"index": {"_id": document["_id"], "status": 201}} for document in DOCUMENTS]
    answers = {
        "/": (200, {"acknowledged": True}),
        "/docs/_search": (404, missing),
        "/_alias": (200, {}),
        "/_bulk": (200, {"errors": False, "items": items}),
        "/docs/_count": (200, {"count": 2}),
    }
    monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__CONNECTOR__USER", "me")
    monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__CONNECTOR__PASSWORD", "tiger")
    with serving(StandIn(answers, ELASTIC)) as server:
        done = rebridge("index", "docs", "docs.jsonl", "--engine", "elasticsearch", "--url", server.url)
    assert done.exit_code == 0, done.output
    assert "2 documents added" in done.output
    made = next(json.loads(body) for method, path, body in server.asked if (method, path) == ("PUT", "/docs"))
    assert {name: field["type"] for name, field in made["mappings"]["properties"].items()} == {
        "title": "text",
        "text": "text",
    }
    written = (home / "configs" / "docs.yaml").read_text()
    assert server.url in written
    assert "tiger" not in written
    assert "me" not in written.split()
    assert "REBRIDGE_PIPELINE__DOCS__CONNECTOR__USER" in written


def test_an_engine_that_is_down_leaves_no_file(home: Path) -> None:
    """If the engine cannot be reached, no pipeline file is left, and the error says what to do."""
    done = rebridge("index", "docs", "docs.jsonl", "--engine", "elasticsearch", "--url", "http://127.0.0.1:1")
    assert isinstance(done.exception, RebridgeError)
    assert "Nothing listens at http://127.0.0.1:1" in str(done.exception)
    assert list((home / "configs").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--url", "http://127.0.0.1:1"], "say --engine too"),
        (
            ["--engine", "elasticsearch", "--url", "127.0.0.1:9200"],
            "'127.0.0.1:9200' is none: an address is like http://",
        ),
        (["--engine", "solr", "--url", "localhost:8983"], "--url"),
        (["--engine", "solr", "--url", "http://me:tiger@127.0.0.1:1"], "come from the environment"),
        (["--engine", "lucene"], "lucene"),
    ],
)
def test_options_that_do_not_go_together(home: Path, options: list[str], message: str) -> None:
    """An address needs an engine and must not hold a password; nothing is written then."""
    done = rebridge("index", "docs", "docs.jsonl", *options)
    assert done.exit_code == 2
    assert message in done.output
    assert "tiger" not in done.output
    assert not (home / "configs").exists()


def test_an_engine_for_an_index_that_has_one(home: Path) -> None:
    """An index with a pipeline file is not moved to another engine by an option."""
    (home / "configs").mkdir()
    (home / "configs" / "docs.yaml").write_text("connector: {name: tantivy}\n")
    done = rebridge("index", "docs", "docs.jsonl", "--engine", "solr")
    assert done.exit_code == 2
    assert "docs.yaml says where the index is" in done.output


def test_fields_are_guessed_for_a_pipeline_without_any(home: Path) -> None:
    """A pipeline that says no fields of its index gets the ones of the documents when the index is made."""
    pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
    (home / "configs").mkdir()
    (home / "configs" / "docs.yaml").write_text("connector: {name: tantivy, path: here}\nrank_window: 5\n")
    assert "2 documents added" in rebridge("index", "docs", "docs.jsonl").output
    assert rebridge("config", "check", "docs", "--live").exit_code == 0


def test_check_live(home: Path) -> None:
    """What does not fit the index as it is stands on a line of its own, with the line of the file and the cure."""
    pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
    rebridge("index", "docs", "docs.jsonl")
    file = home / "configs" / "docs.yaml"
    file.write_text(file.read_text().replace("title: 1", "titel: 1").replace("{text}", "{txet}"))
    assert rebridge("config", "check", "docs").exit_code == 0
    done = rebridge("config", "check", "docs", "--live")
    assert done.exit_code == 2
    lines = [line for line in done.output.splitlines() if line]
    assert len(lines) == 2
    assert "docs.yaml:" in lines[0]
    assert "query_fields.titel: is not in the index. Did you mean 'title'?" in lines[0]
    assert "passage.template: {txet} is not in the index. Did you mean 'text'?" in lines[1]


def test_no_hits(home: Path) -> None:
    """An engine that finds nothing may lack the fields, so the check for that is named; the embedded one has them."""
    (home / "configs").mkdir()
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC)) as server:
        (home / "configs" / "docs.yaml").write_text(f"connector: {{name: elasticsearch, hosts: '{server.url}'}}\n")
        found = rebridge("search", "docs", "boots", "--no-rerank")
    assert "No hits. `rebridge config check docs --live` tells whether its fields exist." in found.output
    pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
    rebridge("index", "other", "docs.jsonl")
    assert "No hits.\n" in rebridge("search", "other", "boots", "--no-rerank").output


@pytest.mark.slow
def test_a_silent_engine_is_not_waited_for(home: Path) -> None:
    """An engine that never answers costs a check some seconds, whatever its pipeline's own time limit is."""
    started = time.monotonic()
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC, delay_s=60)) as server:
        (home / "configs").mkdir()
        (home / "configs" / "docs.yaml").write_text(f"connector: {{name: elasticsearch, hosts: '{server.url}'}}\n")
        done = rebridge("config", "check", "docs", "--live")
    assert done.exit_code == 2
    assert "no answer in time" in done.output
    assert time.monotonic() - started < 20
