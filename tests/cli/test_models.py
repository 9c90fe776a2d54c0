"""`rebridge models`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rebridge.cli import app
from rebridge.errors import ConfigError, ModelNotFound
from rebridge.scorers import FakeScorer, open_scorer
from rebridge.scorers.golden import PASSAGES, PUBLISHED, QUERY, Golden, compare

MODEL = "BAAI/bge-reranker-base"
FILES = Path(__file__).parents[1] / "fixtures" / "models" / "xlm-r"


def rebridge(*arguments: str, code: int = 0) -> str:
    """What a command prints; errors of ours are raised."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "HF_HUB_OFFLINE": "1"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Golden:
    """Scores as if the tiny checkpoint in `FILES` were the model."""
    with open_scorer(FILES, recipe="bge-reranker", device="cpu", dtype="float32") as scorer:
        scores = scorer.raw_scores(QUERY, list(PASSAGES))
    golden = Golden(tuple(scores), "identity", "float32", 1e-4)
    monkeypatch.setitem(PUBLISHED, MODEL, golden)
    return golden


def test_list() -> None:
    """Known models are listed, the default among them."""
    assert "all-MiniLM-L6-v2" in rebridge("models")
    models: list[dict[str, Any]] = json.loads(rebridge("models", "--json"))
    assert {"name", "recipe", "parameters", "context", "languages", "licence", "published"} == set(models[0])


def test_verify(published: Golden) -> None:
    """Published scores that the model gives are counted, and the command succeeds."""
    printed = rebridge("models", "verify", MODEL, "--files", str(FILES), "--device", "cpu")
    assert "4 of 4 scores match within 0.0001" in printed
    answer = json.loads(rebridge("models", "verify", MODEL, "--files", str(FILES), "--device", "cpu", "--json"))
    assert answer["matched"] == 4
    assert [one["published"] for one in answer["scores"]] == list(published.scores)


def test_verify_finds_differences(published: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that differs is named with the difference, and the exit code says so."""
    first, *others = published.scores
    monkeypatch.setitem(PUBLISHED, MODEL, Golden((first + 0.5, *others), "identity", "float32", 1e-4))
    printed = rebridge("models", "verify", MODEL, "--files", str(FILES), "--device", "cpu", code=3)
    assert "3 of 4 scores match" in printed
    assert "0.50000" in printed


def test_verify_unknown_model() -> None:
    """Models without published scores are refused with a list of those that have some."""
    with pytest.raises(ConfigError, match=r"no scores are published for nobody/nothing.*BAAI/bge-reranker-base"):
        rebridge("models", "verify", "nobody/nothing")


def test_verify_without_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is nowhere is an error with cures, not a mismatch."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFound, match="Cures"):
        rebridge("models", "verify", MODEL, "--device", "cpu")


def test_comparison_uses_the_published_activation() -> None:
    """Published sigmoids are compared with sigmoids, whatever the model's own package gives."""
    scorer = FakeScorer(dict.fromkeys(PASSAGES, 0.0))
    compared = compare(scorer, Golden((0.5, 0.5, 0.5, 0.6)))
    assert [one.matches for one in compared] == [True, True, True, False]
    assert compared[3].difference == pytest.approx(0.1)
