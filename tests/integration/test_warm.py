"""``rebridge warm`` reads whole indices of real engines."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from rebridge.cli import app
from rebridge.connector import load
from rebridge.searcher import Searcher

MODEL = Path(__file__).parents[1] / "fixtures" / "models" / "edge-colbert"
FIELDS = {"title": "text", "text": "text"}
#: More than two pages of a scan.
COUNT = 250
DOCUMENTS = [
    (f"d{number}", {"title": f"shoe {number}", "text": "shoes for a trip " * (1 + number % 5)})
    for number in range(COUNT)
]


@pytest.fixture(params=["elasticsearch", "opensearch", "solr", "solrcloud"])
def connector(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The connector section of an index that holds `DOCUMENTS` and nothing else."""
    name, url = request.param, request.getfixturevalue(f"{request.param}_url")
    if name.startswith("solr"):
        where, index = {"name": "solr", "url": url.removesuffix("/docs")}, "docs"
    else:
        where, index = {"name": name, "hosts": url}, f"d_{uuid.uuid4().hex}"
    section: dict[str, Any] = {**where, "index": index, "fields": FIELDS}
    own = {key: value for key, value in section.items() if key != "name"}
    made = load(section["name"])
    with closing(made.open(made.settings.model_validate(own), create=True)) as engine:
        engine.delete([key for key, _ in engine.scan(["title"])])
        assert engine.add(DOCUMENTS) == engine.count() == COUNT
        yield section
        engine.delete([key for key, _ in DOCUMENTS])
    if not name.startswith("solr"):
        requests.delete(f"{url}/{index}", timeout=30)


def test_a_search_finds_all_embeddings(
    connector: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the command, a search computes no passage; the command again computes nothing."""
    monkeypatch.chdir(tmp_path)
    scorer = {"model": str(MODEL), "device": "cpu", "store": str(tmp_path / "kept")}
    pipeline = {"connector": connector, "scorer": scorer, "passage": {"template": "{title}\n{text}"}}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "docs.yaml").write_text(json.dumps(pipeline))
    first = CliRunner().invoke(app, ["warm", "docs"])
    assert (first.exit_code, first.exception) == (0, None)
    assert first.stdout.startswith(f"{COUNT} documents, {COUNT} passages: {COUNT} embedded in ")
    again = CliRunner().invoke(app, ["warm", "docs"]).stdout
    assert again.startswith(f"{COUNT} documents, {COUNT} passages: 0 embedded in ")
    with Searcher.open("docs") as searcher:
        searcher.search("shoe")
        counts: Any = searcher.scorer.counts()  # type: ignore[union-attr]
    assert (counts.kept, counts.inputs) == (100, 1)
