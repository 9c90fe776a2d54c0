"""A bench in memory, on which the tests of evaluations run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rebridge.config import PipelineConfig
from rebridge.connector import Connector, Engine
from rebridge.evaluation.database import Database
from rebridge.evaluation.first_stages import IndexedFirstStage
from rebridge.evaluation.model import Topics
from rebridge.evaluation.running import Bench
from rebridge.scorers import Scorer
from rebridge.scorers.fingerprint import Fingerprint
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

#: Documents named after how often they say "shoe": first-stage scores without ties but for d0, which nobody finds.
DOCUMENTS = {f"d{count}": {"title": f"number {count}", "text": "shoe " * count} for count in range(13)}
TOPICS = Topics(
    queries={"q1": "shoe", "q2": "shoe shoe", "q3": "shoe boot"},
    qrels={"q1": {"d3": 1}, "q2": {"d5": 2, "d9": 1}, "q3": {"d12": 1, "d99": 1}},
    name="shoes",
)


def favourites(query: str, passage: str) -> float:
    """Scores that turn the first stage's order round, with ties."""
    return float((int(passage.partition("\n")[0].rsplit(maxsplit=1)[-1]) * 7 + len(query)) % 5)


def config(**changes: Any) -> PipelineConfig:
    """A pipeline that rescores eight hits."""
    return PipelineConfig.model_validate({"rank_window": 8, **changes})


def engine() -> MemoryEngine:
    """An engine over the documents."""
    return MemoryEngine(DOCUMENTS)


def bench(
    path: Path | Database,
    scorer: Scorer | None = None,
    *,
    over: Engine[Any, Any] | None = None,
    connector: Connector[Any, Any] | None = None,
    depth: int = 20,
    models: Callable[[Any], Scorer] | None = None,
) -> Bench:
    """A bench with one engine, and one scorer for all models."""
    pipeline = config().pipeline("shoes", connector or MemoryConnector())
    searcher = Searcher(pipeline, over or engine(), None, {"title": 1.0, "text": 1.0})
    stage = IndexedFirstStage(searcher, "memory")
    asked = scorer or FakeScorer(favourites)
    return Bench(
        "shoes",
        lambda _: stage,
        models or (lambda _: asked),
        path if isinstance(path, Database) else Database(path / "evaluation.sqlite"),
        depth,
        identify=lambda section: Fingerprint(section.model, None, None, section.model),
    )
