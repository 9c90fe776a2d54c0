"""Commands over pipelines whose scorer is remote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scorers.peers import StandIn, always, answering, serving
from typer.testing import CliRunner, Result

from rebridge.cli import app

pytest.importorskip("tantivy", reason="these searches use the embedded engine: pip install 'rebridge[embedded]'")


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An index of three documents, whose pipeline asks this peer."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    lines = [{"id": f"d{number}", "title": "shoe", "text": "shoe " * number} for number in (1, 2, 3)]
    Path("docs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rebridge("index", "docs", "docs.jsonl")
    with serving(StandIn("tei", scores=lambda _, text: -len(text))) as standin:
        section = {"KIND": "remote", "URL": standin.url, "DIALECT": "tei", "API_KEY": "sk-4711"}
        for key, value in section.items():
            monkeypatch.setenv(f"REBRIDGE_PIPELINE__DOCS__SCORER__{key}", value)
        yield standin


def rebridge(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_search(peer: StandIn) -> None:
    """A search is scored by the peer."""
    found = json.loads(rebridge("search", "docs", "shoe", "--json").stdout)
    assert (found["status"], found["model"], found["scored"]) == ("applied", "tei", 3)
    assert min(found["hits"], key=lambda hit: hit["rank"])["rerank_score"] == max(
        h["rerank_score"] for h in found["hits"]
    )
    assert len(peer.asked) == 1


def test_fallback(peer: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told that a fallback answered, and why."""
    with serving(StandIn("cohere")) as spare:
        peer.fault = always(answering(500, {"error": "out of memory"}))
        section = {"kind": "remote", "url": spare.url, "dialect": "cohere", "model": "spare"}
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__FALLBACKS", json.dumps([section]))
        said = rebridge("search", "docs", "shoe")
        assert "with spare, a fallback (tei: " in said.output
        assert "out of memory" in said.output
        assert said.exit_code == 0


def test_doctor(peer: StandIn) -> None:
    """The doctor has a remote scorer score one passage, and says what came of it."""

    def found() -> dict[str, str]:
        findings = json.loads(rebridge("doctor", "--json").stdout)
        return next(finding for finding in findings if finding["topic"] == "scorer tei of docs")

    assert found()["state"] == "ok"
    assert found()["text"] == f"tei at {peer.url}; score cache off"
    peer.fault = always(answering(401, {"error": "who are you?"}))
    refused = found()
    assert refused["state"] == "problem"
    assert "`api_key`" in refused["text"]
    assert "4711" not in refused["text"]


def test_config(peer: StandIn) -> None:
    """A remote scorer is checked and shown, its key masked."""
    assert rebridge("config", "check", "docs").exit_code == 0
    shown = rebridge("config", "show", "docs").stdout
    assert "kind: remote" in shown
    assert peer.url in shown
    assert "4711" not in shown


def test_evaluation(peer: StandIn) -> None:
    """A pipeline with a remote scorer can be measured; a peer that fails makes its figures invalid."""
    Path("topics.jsonl").write_text('{"_id": "q", "text": "shoe"}')
    Path("qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    arguments = ("eval", "docs", "--queries", "topics.jsonl", "--qrels", "qrels.tsv", "--timed", "0")
    measured = rebridge(*arguments)
    assert measured.exit_code == 0, measured.output
    peer.fault = always(answering(500, {}))
    Path("topics.jsonl").write_text('{"_id": "q", "text": "shoe shoe"}')
    assert rebridge(*arguments).exit_code == 3
