"""Asking a pipeline's engine what is there and what is wrong, without waiting long for an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.connector import IndexFacts

#: How long an engine may take for an answer, where its connector has a time limit; seconds.
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What an engine told.

    Attributes:
        facts: its product and fields.
        documents: how many the index holds.
        problems: of the engine or the index, each a sentence with its cure.
        misfits: (dotted key of the pipeline, what is wrong and the cure).
    """

    facts: IndexFacts
    documents: int
    problems: list[str]
    misfits: list[tuple[str, str]]


def probe(index: str, config: PipelineConfig) -> Probe:
    """Connect to a pipeline's engine and compare the pipeline with the index.

    Raises:
        RebridgeError: if the engine or the index cannot be used; with the cure.
    """
    from rebridge.inspection import misfits
    from rebridge.searcher import Searcher

    with Searcher.open(index, _hasty(index, config), rerank=False) as searcher:
        facts, problems = searcher.engine.facts(), searcher.engine.check()
        found = misfits(config, facts)
        if not found:
            searcher.search(
                "rebridge", size=1, rerank=False
            )  # fails if a query cannot be made of the pipeline's fields
        return Probe(facts, searcher.engine.count(), problems, found)


def _hasty(index: str, config: PipelineConfig) -> PipelineConfig:
    """The same pipeline with a shorter time limit for its engine."""
    limit = getattr(config.connector_settings(index), "timeout_s", None)
    if limit is None:
        return config
    connector = config.connector.model_copy(update={"timeout_s": min(limit, PATIENCE_S)})
    return config.model_copy(update={"connector": connector})
