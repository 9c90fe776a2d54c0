"""`scripts/bench_evaluation` on small collections, through the embedded engine and the default model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tantivy", reason="uses the embedded engine: pip install 'rebridge[embedded]'")
pytest.importorskip("matplotlib", reason="reports have pictures: pip install 'rebridge[eval]'")

from .html_page import Page

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_evaluation"

pytestmark = pytest.mark.slow


def collection(folder: Path, subject: str) -> None:
    """Eight documents, six queries."""
    (folder / "qrels").mkdir(parents=True)
    words = ("red", "blue", "green", "old", "new", "wet", "dry", "big")
    documents = [{"_id": f"d{at}", "title": f"{word} {subject}", "text": subject} for at, word in enumerate(words)]
    queries = [{"_id": f"q{at}", "text": f"{word} {subject}"} for at, word in enumerate(words[:6])]
    for name, records in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    judged = "".join(f"q{at}\td{at}\t1\n" for at in range(6))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")


def bench(data: Path, report: Path) -> tuple[list[dict[str, Any]], str]:
    """The rows that the script prints, and what it says beside them."""
    command = [sys.executable, str(SCRIPT), "shoes", "hats", "--data", str(data), "--report", str(report), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows, done.stderr


def test_collections(tmp_path: Path) -> None:
    """Every collection gets a row and a part of the page; the same command again comes to the same figures."""
    for subject in ("shoes", "hats"):
        collection(tmp_path / "data" / subject, subject)
    rows, _ = bench(tmp_path / "data", tmp_path / "all.html")
    assert [(row["collection"], row["documents"], row["queries"]) for row in rows] == [("shoes", 8, 6), ("hats", 8, 6)]
    assert all(0.5 < row["fused"] <= 1 for row in rows)
    page = Page((tmp_path / "all.html").read_text())
    page.check_that_it_needs_nothing()
    page.check_references()
    assert page.text.count("How these figures came about") == 2
    assert (tmp_path / "all" / "tantivy" / "hats" / "fused.run").is_file()
    again, said = bench(tmp_path / "data", tmp_path / "all.html")
    assert again == rows
    assert "deleted" not in said
