"""A folder with an index and judged queries, and a model that is a fake, for the commands that evaluate."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rebridge.cli import app
from rebridge.testing import FakeScorer

from .evaluating import WORDS


def favourites(query: str, passage: str) -> float:
    """Scores that agree with the judgements more than the first stage does."""
    return float(passage.count("new")) + len(query) / 100


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline, its index, and judged queries in BEIR layout."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    documents = [
        {"_id": f"d{number}", "title": f"Shoe {number}", "text": f"{WORDS[number % 6]} shoe " + "shoe " * (number % 4)}
        for number in range(30)
    ]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    data = tmp_path / "data"
    (data / "qrels").mkdir(parents=True)
    queries = [{"_id": f"q{number}", "text": f"{word} shoe"} for number, word in enumerate(WORDS)]
    (data / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    judged = [f"q{number}\td{4 + 6 * place}\t1" for number in range(6) for place in range(3)]
    (data / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, "q1\tghost\t1", ""]))
    assert CliRunner().invoke(app, ["index", "docs", "docs.jsonl"]).exit_code == 0
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeScorer:
    """All models are this one."""
    from rebridge.evaluation import models, session  # need an extra, which other commands do without
    from rebridge.scorers.fingerprint import Fingerprint

    scorer = FakeScorer(favourites)
    monkeypatch.setattr(models, "open_section", lambda *_, **__: scorer)

    def plain(section: Any) -> Fingerprint:
        return Fingerprint(section.model, "abc", "123", section.model)

    monkeypatch.setattr(session, "Bench", partial(session.Bench, identify=plain))
    return scorer
