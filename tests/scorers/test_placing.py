"""Where and in what a model computes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.mark.parametrize("lacking", [True, False])
def test_a_precision_that_the_processor_lacks(
    lacking: bool,  # noqa: FBT001
    cross_encoder: Path,
    open_tiny: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever asks for a precision that makes searches slower reads so in the log, once per model."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: not lacking)
    with caplog.at_level(logging.WARNING, logger="rebridge"):
        scorer = open_tiny(cross_encoder, dtype="bfloat16")
        scorer.score("a", ["b"])
        scorer.score("a", ["c"])
    assert caplog.text.count("bfloat16 is slow on this processor") == lacking
