"""What the tests of rules share: a pipeline, an engine in memory, and a search over both."""

from __future__ import annotations

from typing import Any

from rebridge.connector import Connector
from rebridge.drivers import run
from rebridge.flow import Outcome, rerank_flow
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.scorers.base import Scorer
from rebridge.testing import MemoryConnector, MemoryEngine

CONNECTOR: Connector[Any, Any] = MemoryConnector()
PIPELINE = Pipeline("docs", CONNECTOR, PassageTemplate("{text}"), rank_window=5, annotate="full")


def engine(scores: list[float]) -> MemoryEngine:
    """An engine with one document a score: ids d0, d1, ...; the text is the id."""
    documents = {f"d{i}": {"text": f"d{i}", "stage": score} for i, score in enumerate(scores)}
    return MemoryEngine(documents, lambda _query, fields: fields["stage"])


def search(
    where: MemoryEngine,
    scorer: Scorer,
    pipeline: Pipeline = PIPELINE,
    **request: Any,
) -> Outcome[dict[str, Any]]:
    return run(rerank_flow({"query": "q", **request}, pipeline), where.search, scorer)


def ids(outcome: Outcome[dict[str, Any]]) -> list[str]:
    return [hit["id"] for hit in outcome.reply["hits"]]
