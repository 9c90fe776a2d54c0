"""Where and in what a model computes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("flags", "told"), [("avx2", 1), ("avx2 avx512_bf16", 0)])
def test_a_precision_that_the_processor_lacks(  # noqa: PLR0917 - the fixtures
    flags: str,
    told: int,
    cross_encoder: Path,
    open_tiny: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever asks for a precision that makes searches slower reads so in the log, once per model."""
    (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n", encoding="utf-8")
    monkeypatch.setattr("rebridge.scorers.placing._CPUINFO", tmp_path / "cpuinfo")
    with caplog.at_level(logging.WARNING, logger="rebridge"):
        scorer = open_tiny(cross_encoder, dtype="bfloat16")
        scorer.score("a", ["b"])
        scorer.score("a", ["c"])
    assert caplog.text.count("bfloat16 is slow on this processor") == told
