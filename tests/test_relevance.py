"""Real collections with judgements: the embedded engine's BM25, and what reranking gains over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "bench_relevance"
DATA = os.environ.get("REBRIDGE_DATA")

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(DATA is None, reason="set REBRIDGE_DATA to a folder of collections in BEIR layout"),
]


def bench(*arguments: str) -> list[dict[str, float]]:
    """The rows that the script prints."""
    command = [sys.executable, str(SCRIPT), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    rows: list[dict[str, float]] = json.loads(done.stdout)["rows"]
    return rows


# nDCG@10 of BM25 (k1 1.2, b 0.75, Porter stems) over title and text put together.
@pytest.mark.parametrize(("name", "published"), [("cranfield", 0.385), ("vaswani_npl", 0.434), ("cacm", 0.476)])
def test_first_stage(name: str, published: float) -> None:
    """The embedded engine's BM25 is within 0.02 of figures from elsewhere, or better."""
    (row,) = bench(name, "--first-stage-only")
    assert row["bm25"] > published - 0.02


def test_fusion_gains() -> None:
    """The default pipeline beats the engine's own order."""
    (row,) = bench("cacm", "--queries", "20", "--rank-window", "50")
    assert row["weighted 0.6"] > row["bm25"]
