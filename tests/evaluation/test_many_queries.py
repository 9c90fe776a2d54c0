"""A large evaluation: memory does not grow with the queries but for the values of the measures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from rebridge.evaluation.database import Database
from rebridge.evaluation.journal import Journal
from rebridge.evaluation.measures import parse_measures
from rebridge.evaluation.model import Topics
from rebridge.evaluation.running import evaluate_variants, prepare
from rebridge.evaluation.runs import write_run
from rebridge.evaluation.variants import variants
from rebridge.testing import FakeScorer, MemoryEngine

from .memory_bench import bench, config

QUERIES = 10_000
HITS = 100
#: Bytes for a float and its place in a dictionary, of which there is one for each variant, query and measure.
VALUE = 200
#: Bytes for batches, caches of SQLite and what the allocator keeps.
SLACK = 30_000_000
STATM = Path("/proc/self/statm")


class Many(MemoryEngine):
    """Answers each query with hits of its own."""

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        number = int(request["query"].split()[0])
        hits = [
            {"id": f"{number}-{place}", "score": float(HITS - place), "source": {"text": f"text {number} {place}"}}
            for place in range(request["from"], min(HITS, request["from"] + request["size"]))
        ]
        return {"total": HITS, "hits": hits}


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="reads the memory in use from Linux's /proc")
def test_ten_thousand_queries(tmp_path: Path) -> None:
    """Ten thousand queries with a window of a hundred hits: what stays in memory are the measures' values.

    Progress is true: it counts query by query, up to the number of searches that was named at the beginning.
    """
    topics = Topics(
        {f"q{number}": f"{number} words" for number in range(QUERIES)},
        {f"q{number}": {f"{number}-{number % HITS}": 1} for number in range(QUERIES)},
    )
    model = FakeScorer(lambda _query, passage: hash(passage) % 1000 / 1000)
    model.calls = Forgetful()
    measures = parse_measures(["nDCG@10", "RR@10", "Recall@window"])
    first_stage, _, fused = variants(config(rank_window=HITS), "many", {})
    seen: dict[int, int] = {}
    totals = {"queries": 2 * QUERIES, "timed searches": 2 * 11}
    told = dict.fromkeys(totals, 0)

    def look(what: str, done: int, total: int) -> None:
        assert total == totals[what]
        assert 0 <= done - told[what] <= 2
        told[what] = done
        if done % 1000 == 0:
            seen.setdefault(done, resident())

    with Database(tmp_path / "evaluation.sqlite") as database:
        where = bench(database, model, over=Many(), depth=HITS)  # type: ignore[arg-type]
        runs = prepare([first_stage, fused], where)
        results = evaluate_variants(runs, topics, where, measures=measures, timed=10, on_progress=look)
        write_run(tmp_path / "x.run", Journal(database).answers(runs[1].key, topics.queries), "x")
    end = resident()
    assert told == totals
    # All answers together would be some 400 MB.
    assert seen[2 * QUERIES] - seen[1000] < SLACK
    assert end - seen[1000] < len(results) * QUERIES * len(measures) * VALUE + SLACK
    assert all(len(values) == QUERIES for result in results for values in result.values.values())
    with (tmp_path / "x.run").open() as file:
        assert sum(1 for _ in file) == QUERIES * HITS


class Forgetful(list[Any]):
    """A list of calls that keeps none."""

    def append(self, _call: Any) -> None:
        """Forget it."""
