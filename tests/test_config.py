"""Pipeline files: what is read, what overrides it, and what a mistake is answered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from rebridge.config import PipelineConfig, json_schema
from rebridge.config_files import available, config_path, load_config
from rebridge.errors import ConfigError

pytest.importorskip("tantivy", reason="the files under test name the embedded engine: pip install 'rebridge[embedded]'")


Write = Callable[..., Path]


def test_an_empty_file_is_the_default(write: Write) -> None:
    """Every key has a default."""
    assert load_config("docs", write("")) == PipelineConfig()


def test_all_is_read(write: Write) -> None:
    """Nested keys end up in the pipeline."""
    folder = write(
        """
        query_fields: {name: 3, body: 1}
        passage:
          template: "{name}. {body}"
          strip_html: true
          windows: {size: 64, stride: 32, pool: top_k_mean}
        rank_window: 50
        fusion: {method: rrf, weight: 0.7}
        on_error: raise
        deadline_ms: 1500
        annotate: full
        """
    )
    config = load_config("docs", folder)
    pipeline = config.pipeline("docs")
    assert config.query_fields == {"name": 3.0, "body": 1.0}
    assert pipeline.passage.windows is not None
    assert pipeline.passage.windows.pool == "top_k_mean"
    assert pipeline.passage.strip_html
    assert (pipeline.rank_window, pipeline.on_error, pipeline.deadline_s) == (50, "raise", 1.5)
    assert (pipeline.fusion.method, pipeline.fusion.weight, pipeline.annotate) == ("rrf", 0.7, "full")


def test_environment_overrides_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key of one index can be set from outside; its neighbours in the file stay."""
    folder = write("fusion: {method: rrf, weight: 0.7}\nrank_window: 50", "my-docs")
    monkeypatch.setenv("REBRIDGE_PIPELINE__MY_DOCS__FUSION__WEIGHT", "0.25")
    monkeypatch.setenv("REBRIDGE_PIPELINE__OTHER__RANK_WINDOW", "7")
    config = load_config("my-docs", folder)
    assert (config.fusion.method, config.fusion.weight, config.rank_window) == ("rrf", 0.25, 50)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "rank_window: 50\nrank_windwo: 5",
            "docs.yaml:2: rank_windwo: unknown key 'rank_windwo'. Did you mean 'rank_window'?",
        ),
        (
            "fusion:\n  method: rrf\n  wieght: 1",
            "docs.yaml:3: fusion.wieght: unknown key 'wieght'. Did you mean 'weight'?",
        ),
        ("scorer:\n  modle: x", "docs.yaml:2: scorer.modle: unknown key 'modle'. Did you mean 'model'?"),
        (
            "passage:\n  windows: {sise: 9}",
            "docs.yaml:2: passage.windows.sise: unknown key 'sise'. Did you mean 'size'?",
        ),
        (
            "connector:\n  name: tantivy\n  pth: x",
            "docs.yaml:3: connector.pth: unknown key 'pth'. Did you mean 'path'?",
        ),
        (
            "connector:\n  name: tantvy",
            "docs.yaml:2: connector.name: unknown connector 'tantvy'. Did you mean 'tantivy'?",
        ),
        ("rank_window: 0", "docs.yaml:1: rank_window: Input should be greater than or equal to 1, not 0."),
        ("\nfusion: {method: best}", "docs.yaml:2: fusion.method: Input should be 'weighted', 'rrf' or 'replace'"),
        ("passage: {template: none}", "docs.yaml:1: passage: the template 'none' names no field"),
        ("query_fields: {}", "docs.yaml:1: query_fields"),
        ("rank_window: 5\nrank_window: 6", "docs.yaml:2: rank_window is given twice, first on line 1"),
        ("rank_window: [5", "docs.yaml:1: not valid YAML"),
        ("a: 2024-13-45", "docs.yaml: a value cannot be read"),
        ("a: &a [*a]", "docs.yaml: an anchor refers to itself"),
        ("min_rerank_score: .nan", "docs.yaml:1: min_rerank_score: Input should be a finite number"),
        ("scorer: {token: 12345}", "docs.yaml:1: scorer.token: Input should be a valid string"),
        ("- a", "docs.yaml: must hold keys and values"),
        ("1: a", "the key 1 must be text"),
    ],
)
def test_mistakes(write: Write, text: str, message: str) -> None:
    """A mistake is named with file, line, key and cure."""
    with pytest.raises(ConfigError) as caught:
        load_config("docs", write(text))
    assert message in str(caught.value)


def test_all_mistakes_at_once(write: Write) -> None:
    """Several mistakes are several lines, in the order of the file."""
    with pytest.raises(ConfigError) as caught:
        load_config("docs", write("rank_window: x\nfusion: {wait: 1}\nnope: 1"))
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("REBRIDGE_PIPELINE__DOCS__RANK_WINDOW", "many", "environment variable REBRIDGE_PIPELINE__DOCS__RANK_WINDOW"),
        ("REBRIDGE_PIPELINE__DOCS__RANK_WINDWO", "5", "Did you mean 'rank_window'?"),
        ("REBRIDGE_PIPELINE__DOCS__SCORER", "notjson", "REBRIDGE_PIPELINE__DOCS__"),
        ("REBRIDGE_PIPELINE__DOCS__FUSION__WAIT", "5", "REBRIDGE_PIPELINE__DOCS__FUSION__WAIT"),
    ],
)
def test_mistakes_in_the_environment(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    message: str,
) -> None:
    """A wrong or misspelt variable is named, not ignored."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_config("docs", write(""))
    assert message in str(caught.value)


def test_only_files_are_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline made in Python is what it was told to be, whatever the environment holds."""
    monkeypatch.setenv("RANK_WINDOW", "7")
    monkeypatch.setenv("SCORER", "gpu-3")
    assert PipelineConfig(rank_window=50).rank_window == 50


def test_named_folder_must_exist(tmp_path: Path) -> None:
    """A misspelt folder is an error, not an empty one."""
    with pytest.raises(ConfigError, match="no folder"):
        load_config("demo", tmp_path / "nowhere")


def test_unknown_index(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index without a file: the message names the place and the nearest one."""
    folder = write("")
    with pytest.raises(ConfigError, match=r"dosc.yaml does not exist: unknown index 'dosc'. Did you mean 'docs'\?"):
        load_config("dosc", folder)
    monkeypatch.setenv("REBRIDGE_CONFIGS", str(folder))
    assert config_path("docs") == folder / "docs.yaml"


def test_the_demo_needs_no_folder(tmp_path: Path) -> None:
    """Pipelines that rebridge ships are found from anywhere; a user's file of the same name wins."""
    assert "demo" in available(tmp_path)
    (tmp_path / "demo.yaml").touch()
    assert available(tmp_path)["demo"] == tmp_path / "demo.yaml"


def test_schema_accepts_what_loads() -> None:
    """The exported JSON Schema takes the files we ship and refuses an unknown key."""
    validator = jsonschema.Draft202012Validator(json_schema())
    for path in available().values():
        validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    assert not validator.is_valid({"rank_windwo": 5})
    assert not validator.is_valid({"connector": {"name": "tantivy", "pth": "x"}})


def test_secrets_are_masked(write: Write) -> None:
    """A token is used but never shown."""
    config = load_config("docs", write("scorer: {token: hf_secret}"))
    assert "hf_secret" not in repr(config)
    assert config.scorer.options()["token"] == "hf_secret"  # noqa: S105 - not a real one
