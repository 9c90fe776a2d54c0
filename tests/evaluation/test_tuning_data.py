"""Tuning on a real collection, through the embedded engine and the real model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_tuning"


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("REBRIDGE_DATA" not in os.environ, reason="set REBRIDGE_DATA to a folder of collections")
def test_gains_on_held_out_queries() -> None:
    """What is chosen gains over BM25 on queries that have not chosen it, if less than on those that have."""
    command = [sys.executable, str(SCRIPT), "vaswani_npl", "--queries", "30", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    (row,) = json.loads(done.stdout)["rows"]
    assert 0 < row["gain held out"] < row["gain on choosing folds"]
