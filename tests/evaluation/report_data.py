"""A small evaluation with everything that a report can show, and with text that wants to be markup."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from rebridge.config import PipelineConfig
from rebridge.evaluation.comparing import Comparison
from rebridge.evaluation.model import Finding, Result, Times, Topics, Variant
from rebridge.evaluation.report import Example, ReportData, ScoreSample, Shown

HOSTILE = "</title><script>alert(1)</script><img src=http://outside.example/x.png> & $x_1$ 漢字"
QUERIES = {f"q{number}": f"query {number}" for number in range(20)}
BEFORE = {query: number / 20 for number, query in enumerate(QUERIES)}


def variant(name: str, window: int, weight: float) -> Variant:
    config = PipelineConfig.model_validate({"rank_window": window, "fusion": {"weight": weight}})
    return Variant(name, config)


def result(name: str, gain: float, ms: float) -> Result:
    """Every third query gains, every fifth loses."""
    after = {
        query: value + (gain if number % 3 == 0 else -gain / 2 if number % 5 == 0 else 0)
        for number, (query, value) in enumerate(BEFORE.items())
    }
    values = {"nDCG@10": after, "Recall@window": dict.fromkeys(after, 0.5)}
    return Result(name, values, Times(total_ms=tuple(ms + step for step in range(10))))


def complete() -> ReportData:
    """First stage, and two weights with two windows each."""
    variants = (
        Variant("first stage", PipelineConfig(), rerank=False),
        *(variant(f"w{weight} n{window}", window, weight) for weight in (0.4, 0.6) for window in (50, 100)),
    )
    gains = {"first stage": (0.0, 5.0), "w0.4 n50": (0.1, 20.0), "w0.4 n100": (0.11, 40.0)}
    gains |= {"w0.6 n50": (0.12, 21.0), "w0.6 n100": (0.2, 41.0)}
    hits = (Shown("d1", HOSTILE, 2, 7, 3.5), Shown("d2"))
    comparison = Comparison("w0.6 n100", "first stage", "nDCG@10", 0.5, 0.4, 0.1, 0.05, 0.15, 0.0002, 0.0008, 7, 9, 4)
    return ReportData(
        title=HOSTILE,
        topics=Topics(QUERIES, {}, (Finding("queries without judgements, left out", 1234, ("q98", HOSTILE)),), "toys"),
        measure="nDCG@10",
        baseline="first stage",
        subject="w0.6 n100",
        variants=variants,
        results=tuple(result(name, *gain) for name, gain in gains.items()),
        comparisons=(
            comparison,
            replace(comparison, variant="w0.4 n50", difference=-0.1, low=-0.2, high=-0.01, p=0.04),
        ),
        manifest={"model": HOSTILE, "versions": {"torch": "2.9"}, "windows": [50, 100]},
        examples=(
            Example("q3", HOSTILE, 0.1, 0.9, hits, hits[:1]),
            Example("q5", "lost query", 0.9, 0.1, (), hits),
        ),
        scores=(ScoreSample("tiny-model", (1.0, 2.0, 3.0), (-1.0, 0.0, 1.0, 1.5)),),
        warnings=("w0.6 n100 was degraded.",),
    )


def collections() -> list[ReportData]:
    """Two collections behind two engines: the first stage, the model alone, and both fused."""
    return [
        _behind(name, engine, p)
        for (name, engine), p in zip(
            product(("books", "toys"), ("Engine 1", HOSTILE)), (0.0002, 0.02, 0.03, 0.5), strict=True
        )
    ]


def _behind(name: str, engine: str, p: float) -> ReportData:
    data = complete()
    variants = (data.variants[0], variant("rerank", 100, 1.0), variant("fused", 100, 0.6))
    values = (("first stage", 0.0, 5.0), ("rerank", 0.05, 40.0), ("fused", 0.2, 41.0))
    return replace(
        data,
        title=f"{name}, {engine}",
        topics=replace(data.topics, name=name),
        subject="fused",
        variants=variants,
        results=tuple(result(*each) for each in values),
        comparisons=(replace(data.comparisons[0], variant="fused", mean=0.535, baseline_mean=0.475, p=p),),
        manifest={"first_stage": {"product": engine, "documents": 1234}},
        warnings=(),
    )
