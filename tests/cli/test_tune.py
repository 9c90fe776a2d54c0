"""``rebridge tune`` as a user types it, over the embedded engine; the model is a fake."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tantivy", reason="the commands use the embedded engine: pip install 'rebridge[embedded]'")
pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.config_files import load_config
from rebridge.errors import ConfigError
from rebridge.evaluation import models, running
from rebridge.scorers.fingerprint import Fingerprint
from rebridge.testing import FakeScorer

QUERIES = 12


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline, its index, and judged queries, each with ten hits of which the eighth is relevant."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    documents = [
        {
            "_id": f"q{query}-{place}",
            "title": f"document {place}",
            "text": f"word{query} " * (11 - place) + "other " * place,
        }
        for query in range(QUERIES)
        for place in range(1, 11)
    ]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    data = tmp_path / "data"
    (data / "qrels").mkdir(parents=True)
    queries = [{"_id": f"q{number}", "text": f"word{number}"} for number in range(QUERIES)]
    (data / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    judged = [f"q{number}\tq{number}-8\t1" for number in range(QUERIES)]
    (data / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, ""]))
    assert CliRunner().invoke(app, ["index", "docs", "docs.jsonl"]).exit_code == 0
    with (tmp_path / "configs" / "docs.yaml").open("a") as file:
        file.write("# Ours.\nrank_window: 5  # for a start\n")
    return tmp_path


class Model:
    """A model that knows the relevant document, unless it is told to fail or to know nothing."""

    def __init__(self) -> None:
        self.problem: BaseException | None = None
        self.after = 0
        self.knows = True
        self.scored = 0

    def __call__(self, _query: str, text: str) -> float:
        self.scored += 1
        if self.problem is not None and self.scored > self.after:
            raise self.problem
        return float(text.startswith("document 8") == self.knows)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """What every pipeline is scored by."""
    scores = Model()
    monkeypatch.setattr(models, "open_section", lambda *_, **__: FakeScorer(scores))

    def plain(section: Any) -> Fingerprint:
        return Fingerprint(section.model, "abc", "123", section.model)

    monkeypatch.setattr(running, "Bench", partial(running.Bench, identify=plain))
    return scores


def tune(*arguments: str, code: int = 0) -> Result:
    """Run the command over the judged queries and check how it ends."""
    done = CliRunner().invoke(app, ["tune", "docs", "--data", "data", *arguments])
    assert (2 if isinstance(done.exception, ConfigError) else done.exit_code) == code, done.output
    return done


@pytest.mark.usefixtures("model")
def test_writes_what_it_recommends(home: Path) -> None:
    """A setting that helps is written into a copy of the pipeline, with the evidence; the pipeline stays as it is."""
    before = (home / "configs" / "docs.yaml").read_text()
    done = tune("--windows", "5,10", "--latency-budget-ms", "60000", "--timed", "2")
    assert "chosen: rank window 10" in done.stdout
    assert "expected gain over the first stage" in done.stdout
    assert "p95 ms" in done.stdout
    assert "12 queries are few" in done.stderr
    assert (home / "configs" / "docs.yaml").read_text() == before
    text = (home / "configs" / "tuned" / "docs.yaml").read_text()
    head = [line for line in text.splitlines() if line.startswith("# tuned: ")]
    assert "12 queries, nDCG@10" in "".join(head)
    assert "95% of 2 searches took" in head[-1]
    assert "# Ours.\nrank_window: 10  # for a start\n" in text
    assert load_config("docs", home / "configs" / "tuned").rank_window == 10
    assert load_config("docs").rank_window == 5
    assert not list(home.rglob("*.sqlite"))


@pytest.mark.usefixtures("model")
def test_deadline_in_the_table(home: Path) -> None:
    """Where the pipeline's own deadline is shorter than the budget, the table says that this is what counts."""
    with (home / "configs" / "docs.yaml").open("a") as file:
        file.write("deadline_ms: 30000\n")
    options = ("--windows", "10", "--methods", "replace", "--timed", "1", "--latency-budget-ms")
    assert "within 30000 ms, the pipeline's deadline_ms" in tune(*options, "40000").stdout
    assert "within 20000 ms  " in tune(*options, "20000").stdout


@pytest.mark.usefixtures("model")
def test_odd_names_of_folders(home: Path) -> None:
    """A folder's name is shown as it is, also with what could be taken for markup."""
    (home / "data").rename(home / "[red]data")
    done = CliRunner().invoke(app, ["tune", "docs", "--data", "[red]data", "--timed", "0", "--methods", "replace"])
    assert "[red]data: means over 12 queries" in done.stdout


@pytest.mark.usefixtures("home", "model")
def test_own_window_is_wider() -> None:
    """A pipeline that is not compared, because its rank window is wider than all that are asked for, is told."""
    done = tune("--timed", "0", "--windows", "3,4", code=3)
    assert "its rank window of 5 is too slow, or wider than all of --windows" in done.stderr


def test_recommends_nothing_by_chance(home: Path, model: Model) -> None:
    """If no setting helps, that is said, nothing is written, and the exit code is 3."""
    model.knows = False
    done = tune("--timed", "0", code=3)
    assert "No setting is recommended" in done.stderr
    assert not (home / "configs" / "tuned").exists()


@pytest.mark.usefixtures("model")
def test_nothing_to_change(home: Path) -> None:
    """A pipeline that has the chosen setting already is left alone."""
    with (home / "configs" / "docs.yaml").open("a") as file:
        file.write("fusion: {method: replace}\n")
    done = tune("--timed", "0", "--windows", "10", "--methods", "replace")
    (home / "configs" / "docs.yaml").write_text((home / "configs" / "tuned" / "docs.yaml").read_text())
    done = tune("--timed", "0", "--windows", "10", "--methods", "replace", "--out", "elsewhere/docs.yaml")
    assert "has this setting already" in done.stderr
    assert not (home / "elsewhere").exists()


def test_interrupted(home: Path, model: Model) -> None:
    """Interrupted, it says so with code 130, and the same command scores nothing twice."""
    model.problem, model.after = KeyboardInterrupt(), 35
    done = tune("--timed", "0", code=130)
    assert "same command goes on" in done.stderr
    (kept,) = home.rglob("*.sqlite")
    with sqlite3.connect(kept) as stored:
        scores = stored.execute("SELECT COUNT(*) FROM scores").fetchone()[0]
    assert 0 < scores <= 35
    model.problem, model.scored = None, 0
    tune("--timed", "0")
    assert model.scored == QUERIES * 10 - scores


@pytest.mark.parametrize("problem", [OSError("disk full"), KeyboardInterrupt()])
def test_unwritten(home: Path, model: Model, monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    """A tuned file that cannot be written, or an interruption while it is, costs no score."""

    def fails(*_: object) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fails)
        tune("--timed", "0", code=1 if isinstance(problem, OSError) else 130)
    scored = model.scored
    assert scored > 0
    assert not list(home.rglob("tuned/*"))
    tune("--timed", "0")
    assert model.scored == scored
    assert (home / "configs" / "tuned" / "docs.yaml").exists()
    assert not list(home.rglob("*.sqlite"))


@pytest.mark.usefixtures("home")
def test_tunings_share_no_scores_file(home: Path, model: Model) -> None:
    """The end of one tuning leaves the scores of another alone that has other queries or another pipeline."""
    model.problem, model.after = KeyboardInterrupt(), 35
    tune("--timed", "0", code=130)
    (kept,) = home.rglob("*.sqlite")
    model.problem = None
    tune("--timed", "0", "--limit", "10")
    assert list(home.rglob("*.sqlite")) == [kept]
    with (home / "configs" / "docs.yaml").open("a") as file:
        file.write("min_rerank_score: -1\n")
    tune("--timed", "0", "--out", "other/docs.yaml")
    assert list(home.rglob("*.sqlite")) == [kept]


@pytest.mark.usefixtures("model")
def test_environment_in_the_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that overrides what was tuned is named, since the tuned file alone would change nothing."""
    monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__RANK_WINDOW", "7")
    done = tune("--timed", "0", "--windows", "10")
    assert "REBRIDGE_PIPELINE__DOCS__RANK_WINDOW override" in done.stderr
    assert "rank_window: 10" in (home / "configs" / "tuned" / "docs.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--windows", "10,many"], "'many' is not a number from 1 to 10000"),
        (["--windows", "0"], "'0' is not a number"),
        (["--windows", ","], "at least one"),
        (["--weights", "0.5,nan"], "'nan' is not a number from 0 to 1"),
        (["--methods", "wieghted"], "Did you mean 'weighted'"),
        (["--normalisers", "minmax"], "Did you mean 'min_max'"),
        (["--template", "no field"], "names no field"),
        (["--passage-windows", "64/128"], "tokens between windows would be lost"),
        (["--passage-windows", "4"], "8 tokens at least"),
        (["--passage-windows", "long"], "none, SIZE or SIZE/STRIDE"),
        (["--out", "configs/docs.tuned.yaml"], "docs.yaml"),
        (["--out", "configs/docs.yaml"], "tuning did not write it"),
        (["--folds", "99"], "fewer --folds"),
        (["--limit", "5"], "at least 6"),
        (["--measure", "nDGC@10"], "nDCG"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
@pytest.mark.usefixtures("home")
def test_bad_options(model: Model, arguments: list[str], message: str) -> None:
    """Whatever cannot be done is said before anything is scored, with the cure."""
    done = tune(*arguments, code=2)
    assert message in " ".join(f"{done.output} {done.exception}".replace("│", " ").split())
    assert not model.scored


@pytest.mark.usefixtures("model")
def test_passages(home: Path) -> None:
    """Templates and windows of passages are tried too, each with each."""
    templates = ("--template", "{text}", "--template", "{title}\\n{text}", "--passage-windows", "none,64/32")
    done = tune("--timed", "0", "--windows", "10", "--methods", "replace", *templates)
    assert "{title}\\n{text} in windows of 64/32" in done.stdout
    assert load_config("docs", home / "configs" / "tuned").passage.template == "{title}\n{text}"


@pytest.mark.usefixtures("model")
def test_passages_without_text(home: Path) -> None:
    """Queries for whose hits a template makes no text are counted; a template that never does is an error."""
    documents = [json.loads(line) for line in (home / "docs.jsonl").read_text().splitlines()]
    for document in documents:
        if document["_id"].startswith(("q1-", "q2-")):
            del document["title"]
    (home / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    assert CliRunner().invoke(app, ["index", "docs", "docs.jsonl"]).exit_code == 0
    options = ("--timed", "12", "--latency-budget-ms", "60000", "--windows", "10", "--methods", "replace")
    done = tune(*options, "--template", "{text}", "--template", "{title}")
    assert "'{title}' makes no text of any hit of 2 of 12 queries" in done.stderr
    assert "'{text}' makes no text" not in done.stderr
    done = tune(*options, "--template", "{title}", "--template", "{titel}", code=2)
    assert "'{titel}' makes no text of any hit of any query" in str(done.exception)
