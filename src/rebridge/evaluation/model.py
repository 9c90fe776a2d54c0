"""The values of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rebridge.config import PipelineConfig

#: Query id -> document id -> grade; a grade above 0 is relevant.
Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in queries or judgements, so that nothing is dropped in silence.

    Attributes:
        what: e.g. ``"queries without judgements, left out"``.
        count: how many.
        examples: the first few of them, to look them up.
    """

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topics:
    """Queries with their judgements.

    Attributes:
        queries: id -> text, in the order of the source; every one of them has judgements.
        qrels: the judgements of these queries.
        findings: what was left out, and what looks odd.
        name: what it is called in tables and reports.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    findings: tuple[Finding, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the pipelines that are compared.

    Attributes:
        name: its name in tables; unique in an evaluation.
        config: the pipeline.
        rerank: False for the first stage alone.
    """

    name: str
    config: PipelineConfig
    rerank: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """A hit of a run.

    Attributes:
        doc_id: the document.
        score: the final score; never rising with the rank.
        first_stage_rank: where the engine had it, from 1.
        rerank_score: the model's raw score; None if it was not scored.
    """

    doc_id: str
    score: float
    first_stage_rank: int
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant answered to a query.

    Attributes:
        query_id: the query.
        hits: from rank 1 on.
        window: the ids that the first stage put into the rank window, whose recall bounds any reranker's.
        status: ``applied``, ``bypassed`` or ``degraded``, as in `rebridge.models.Summary`.
        reason: why it was not applied, in a word.
    """

    query_id: str
    hits: tuple[Hit, ...]
    window: tuple[str, ...] = ()
    status: str = "applied"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """How long searches took on the uncached path, one entry per search that was timed, in milliseconds."""

    engine_ms: tuple[float, ...] = ()
    scorer_ms: tuple[float, ...] = ()
    total_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """How good a variant is.

    Attributes:
        variant: its name.
        values: measure -> query id -> value; every measure has every query.
        times: how long searches took.
        not_applied: reason -> how many queries were not reranked; empty for the first stage alone.
    """

    variant: str
    values: Mapping[str, Mapping[str, float]]
    times: Times = Times()
    not_applied: Mapping[str, int] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """The mean over all queries."""
        of_queries = self.values[measure]
        return sum(of_queries.values()) / len(of_queries)
