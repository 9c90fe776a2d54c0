"""``rebridge warm`` on the embedded engine, with a small model of random weights."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rebridge.cli import app
from rebridge.config_files import load_config
from rebridge.errors import ConfigError, ConnectorError, ScorerError
from rebridge.scorers.embeddings import store as store_module
from rebridge.searcher import Searcher
from rebridge.testing import MemoryEngine

pytest.importorskip("tantivy", reason="the command reads the embedded engine: pip install 'rebridge[embedded]'")

MODELS = Path(__file__).parents[1] / "fixtures" / "models"
REBRIDGE = str(Path(sys.executable).with_name("rebridge"))
WORDS = ["wind", "river", "town", "shoes", "berlin", "people", "red", "light", "energy", "water", "boat", "trip"]

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the pipeline ``docs``, whose index is there; keywords are keys of its section `scorer`."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    documents: list[dict[str, Any]] = [
        {"_id": f"d{number}", "title": f"{WORDS[number % 12]} {number}", "text": " ".join(WORDS * (1 + number % 9))}
        for number in range(200)
    ]
    documents += [{"_id": "blank", "lang": "en"}, {"_id": "same", "title": documents[7]["title"]}]
    documents[-1]["text"] = documents[7]["text"]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))

    def rewrite(windows: str = "null", **scorer: Any) -> None:
        keys = {"model": str(MODELS / "edge-colbert"), "device": "cpu", "store": str(tmp_path / "kept"), **scorer}
        section = json.dumps({key: value for key, value in keys.items() if value is not None})
        (tmp_path / "configs").mkdir(exist_ok=True)
        (tmp_path / "configs" / "docs.yaml").write_text(
            "connector: {name: tantivy, path: index, fields: {title: text, text: text, lang: keyword}}\n"
            f'passage: {{template: "{{title}}\\n{{text}}", windows: {windows}}}\nscorer: {section}\n'
        )

    rewrite()
    assert CliRunner().invoke(app, ["index", "docs", "docs.jsonl"]).exit_code == 0
    return rewrite


def warm(code: int = 0) -> str:
    """Run the command; what it printed on standard output."""
    done = CliRunner().invoke(app, ["warm", "docs"])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def test_every_passage_is_embedded_once(write: Write) -> None:
    """A run embeds what is missing and counts the rest; a second one finds all of it, and so does the first search."""
    shown = warm()
    assert shown.startswith("202 documents, 201 passages: 200 embedded in ")
    assert "1 were there; 1 documents have no text. The store holds " in shown
    assert "202 documents, 201 passages: 0 embedded in " in warm()
    with Searcher.open("docs") as searcher:
        searcher.search("red shoes in berlin")
        counts: Any = searcher.scorer.counts()  # type: ignore[union-attr]
    assert (counts.kept, counts.inputs) == (100, 1)  # the rank window, and the query


def test_windows_are_those_of_searches(write: Write) -> None:
    """Of a pipeline that cuts passages into windows, each window is embedded, and found by searches."""
    write(windows="{size: 16, stride: 16, limit: 3}")
    embedded = int(re.findall(r"([\d,]+) embedded", warm())[0])
    assert 200 < embedded <= 600
    with Searcher.open("docs") as searcher:
        outcome = searcher.search("red shoes in berlin", size=100)
        counts: Any = searcher.scorer.counts()  # type: ignore[union-attr]
    assert counts.kept == sum(len(hit.windows) for hit in outcome.page) > 100
    assert counts.inputs == 1


def test_changed_documents(write: Write, tmp_path: Path) -> None:
    """After documents have changed, only their passages are embedded."""
    warm()
    (tmp_path / "more.jsonl").write_text('{"_id": "d3", "title": "changed"}\n{"_id": "new", "title": "new"}\n')
    assert CliRunner().invoke(app, ["index", "docs", "more.jsonl"]).exit_code == 0
    assert "203 documents, 202 passages: 2 embedded in " in warm()


@pytest.mark.slow
def test_interrupted(write: Write, tmp_path: Path) -> None:
    """Ctrl-C ends it with a word and exit code 130; the same command goes on from there."""
    documents = ({"_id": f"x{number}", "title": f"{number}", "text": " ".join(WORDS)} for number in range(1000))
    lines = map(json.dumps, documents)
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    assert CliRunner().invoke(app, ["index", "docs", "many.jsonl"]).exit_code == 0
    program = (
        "import os, signal, sys; import rebridge.warming as warming; from rebridge.cli import main\n"
        "real = warming.warm\n"
        "def interrupted(engine, template, scorer, tell):\n"
        "    return real(engine, template, scorer, lambda count: os.kill(os.getpid(), signal.SIGINT))\n"
        "warming.warm = interrupted; sys.argv = ['rebridge', 'warm', 'docs']; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert (done.returncode, "Traceback" in done.stderr) == (130, False), done.stderr
    assert "what was embedded is kept" in done.stderr
    there = int(re.findall(r"([\d,]+) were there", warm())[0].replace(",", ""))
    assert 64 <= there < 1202


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ({"store": None}, "keeps no embeddings on disk: add `store: true`, or a folder"),
        ({"store": False}, "keeps no embeddings on disk: add `store: true`, or a folder"),
        ({"model": str(MODELS / "minilm")}, r"nothing to keep.*recipes colbert \(.*\) and bi-encoder \(.*MiniLM"),
        (
            {"kind": "remote", "url": "http://gpu:8080", "model": "m", "device": None, "store": None},
            "m is a remote scorer, which keeps its embeddings where it runs: run `rebridge warm` there",
        ),
    ],
)
def test_models_that_keep_nothing(write: Write, scorer: dict[str, Any], told: str) -> None:
    """A pipeline whose model keeps no embeddings is refused with the reason, before anything is loaded."""
    write(**scorer)
    done = CliRunner().invoke(app, ["warm", "docs"])
    assert isinstance(done.exception, ConfigError)
    assert re.search(told, str(done.exception)), done.exception


def test_a_store_that_is_too_small(write: Write) -> None:
    """Where what is in use does not fit, the rest is left, the exit code says so, and no round of it is begun again."""
    write(store_size=2**20, store_dtype="float32")
    done = CliRunner().invoke(app, ["warm", "docs"])
    assert done.exit_code == 3
    assert "raise store_size" in done.stderr


def test_what_cannot_be_kept(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passages whose embeddings are too large to be kept are counted for themselves, each time."""
    write(store_size=2**30)
    monkeypatch.setattr(store_module, "_PARTS", 2**30 // 2000)
    first, second = warm(), warm()
    counts = r"(\d+) embedded in .* (\d+) were there, (\d+) cannot be kept \(empty, not finite, or larger than 0.0 MB\)"
    embedded, kept, unkept = map(int, re.findall(counts, first)[0])
    assert 0 < unkept < 200
    assert embedded + kept + unkept == 201
    assert re.findall(counts, second) == [("0", str(embedded + kept), str(unkept))]


def test_a_disk_that_fails(write: Write, tmp_path: Path) -> None:
    """Where nothing can be kept, the command fails and says why."""
    (tmp_path / "kept").write_text("a file in the way")
    done = CliRunner().invoke(app, ["warm", "docs"])
    assert isinstance(done.exception, ScorerError)
    assert "cannot be used" in str(done.exception)


def test_an_engine_that_fails(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not give all its documents fails the command; what was read before is kept."""
    from rebridge.scorers import open_scorer
    from rebridge.warming import warm as fill

    class Failing(MemoryEngine):
        def scan(self, fields: Any) -> Any:
            yield from super().scan(fields)
            raise ConnectorError("a shard is gone")

    config = load_config("docs")
    engine = Failing({f"{number}": {"title": f"text {number}"} for number in range(64 * 9)})
    with open_scorer(config.scorer.model, **config.scorer.options()) as scorer:
        with pytest.raises(ConnectorError, match="a shard is gone"):
            fill(engine, config.passage, scorer)
        whole = MemoryEngine(engine.documents)
        assert fill(whole, config.passage, scorer).kept >= 64


@pytest.mark.usefixtures("write")
def test_an_engine_without_a_scan() -> None:
    """A connector that was written before engines gave all their documents is told from a fault of rebridge."""
    from rebridge.scorers import open_scorer
    from rebridge.warming import warm as fill

    class Old:
        """Of the contract it has what other commands need."""

    config, engine = load_config("docs"), Old()
    with (
        open_scorer(config.scorer.model, **config.scorer.options()) as scorer,
        pytest.raises(ConnectorError, match=r"Old has no method `scan`.*newer version of that connector"),
    ):
        fill(engine, config.passage, scorer)  # type: ignore[arg-type]


def test_the_helps_example_for_a_gpu() -> None:
    """What the help embeds on a GPU is what searches on a CPU read: float32, and not the GPU's default."""
    shown = CliRunner().invoke(app, ["warm", "--help"], env={"COLUMNS": "200"}).stdout
    assert re.search(r"SCORER__DEVICE=cuda \\\s*REBRIDGE_PIPELINE__DOCS__SCORER__DTYPE=float32 rebridge warm", shown)
