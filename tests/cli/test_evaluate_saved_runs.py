"""``rebridge eval`` over saved runs: comparing them, and taking one as the first stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tantivy", reason="the commands use the embedded engine: pip install 'rebridge[embedded]'")
pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")


from rebridge.errors import ScorerError
from rebridge.testing import FakeScorer

from .evaluating import evaluate, figures

pytestmark = pytest.mark.usefixtures("home", "fake")


def test_compare(home: Path) -> None:
    """Saved runs are compared later: the same figures, by the judgements that the manifest names."""
    now = figures("--out", "out", "--measure", "nDCG@10")
    done = evaluate("compare", "out/first-stage.run", "out/fused.run", "--measure", "nDCG@10", "--format", "json")
    _, fused = json.loads(done.stdout)["variants"]
    told = {**now["variants"][2]["comparison"], "variant": "out/fused.run", "baseline": "out/first-stage.run"}
    assert fused["comparison"] | {"p_adjusted": 0} == told | {"p_adjusted": 0}
    assert fused["comparison"]["p_adjusted"] == fused["comparison"]["p"]  # one comparison, not two
    (home / "out" / "first-stage.run.manifest.json").unlink()
    done = evaluate("compare", "out/first-stage.run", "out/fused.run", code=2)
    assert "give --data" in str(done.exception)
    assert evaluate("compare", "out/first-stage.run", "out/fused.run", "--data", "data").exit_code == 0


def test_compare_needs_two_runs() -> None:
    """One run is no comparison; a file that is not there is named."""
    figures("--out", "out")
    assert "two different runs" in evaluate("compare", "out/fused.run", "out/fused.run", code=2).output
    done = evaluate("compare", "out/fused.run", "out/none.run", code=2)
    assert "no run out/none.run" in str(done.exception)


def test_compare_measures() -> None:
    """Measures are those of the evaluation; one that a saved run cannot tell is an error that says why."""
    runs = ("out/first-stage.run", "out/fused.run")
    figures("--out", "out", "--depth", "20", "--measure", "RR@10", "--measure", "P@5")
    found = json.loads(evaluate("compare", *runs, "--format", "json").stdout)
    assert found["measure"] == "RR@10"
    assert list(found["variants"][1]["means"]) == ["RR@10", "P@5"]
    deep = evaluate("compare", *runs, "--measure", "R@50", code=2)
    assert "R@50 looks at more ranks than out/first-stage.run holds, which has --depth 20" in str(deep.exception)
    window = evaluate("compare", *runs, "--measure", "Recall@window", code=2)
    assert "does not tell the rank window" in str(window.exception)


def test_compare_fewer_queries(home: Path) -> None:
    """--limit and --split count for the judgements that a manifest names too."""
    figures("--out", "out")
    runs = ("out/first-stage.run", "out/fused.run")
    found = json.loads(evaluate("compare", *runs, "--limit", "2", "--format", "json").stdout)
    assert found["topics"]["queries"] == 2
    (home / "data" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq3\td4\t1\n")
    found = json.loads(evaluate("compare", *runs, "--split", "dev", "--format", "json").stdout)
    assert found["topics"]["queries"] == 1


def test_compare_degraded(fake: FakeScorer) -> None:
    """A run that was invalid when it was saved is invalid in a comparison too."""
    fake._error = ScorerError("down")
    figures("--out", "out", code=3)
    shown = evaluate("compare", "out/first-stage.run", "out/fused.run", code=3).stdout
    assert "out/fused.run (INVALID)" in shown
    assert "out/first-stage.run (INVALID)" not in shown


def test_saved_run() -> None:
    """A saved run and its documents take the engine's place, with the same figures."""
    from_engine = figures("--out", "out")
    arguments = ("--run", "out/first-stage.run", "--documents", "docs.jsonl")
    saved = figures(*arguments)
    assert [each["means"] for each in saved["variants"]] == [each["means"] for each in from_engine["variants"]]
    evaluate("docs", "--data", "data", "--run", "out/first-stage.run", code=2)


def test_times_of_a_saved_run() -> None:
    """A saved run has no engine, so only the model's times are shown."""
    figures("--out", "out")
    arguments = ("--run", "out/first-stage.run", "--documents", "docs.jsonl", "--timed", "2")
    times = [each["latency_ms"] for each in figures(*arguments)["variants"]]
    assert times[0] == {"engine": {}, "scorer": {}, "total": {}}
    assert [sorted(part for part in of if of[part]) for of in times[1:]] == [["scorer"]] * 2
    shown = evaluate("docs", "--data", "data", *arguments, "--format", "markdown").stdout
    assert "no scores or embeddings cached: model**" in shown
    engine = evaluate("docs", "--data", "data", "--timed", "2", "--format", "markdown").stdout
    assert "no scores or embeddings cached: engine / model / total**" in engine
