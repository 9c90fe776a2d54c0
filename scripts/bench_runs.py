"""What benchmarks of relevance compare: the same searches with the model alone and fused, and measures of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

try:
    import ir_measures
    from ir_measures import nDCG
    from scipy.stats import kendalltau
except ModuleNotFoundError:
    sys.exit("error: this needs measures: pip install -e '.[eval]'")

from bench_common import Collection

from rebridge.fusion import Fusion
from rebridge.searcher import Searcher


@dataclass(slots=True)
class Run:
    """What searches gave.

    Attributes:
        scores: query -> document -> raw score, of the rank window.
        pages: fusion -> the hits of all queries.
        ms: time of the scorer in each search.
    """

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    pages: dict[str, list[ir_measures.ScoredDoc]] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)


def searched(searcher: Searcher, queries: dict[str, str]) -> Run:
    """Search all queries, with the model alone and fused; the first of the two is timed."""
    run, pipeline = Run(), searcher.pipeline
    for key, text in queries.items():
        for name, fusion in {"model alone": Fusion("replace"), "fused": Fusion()}.items():
            searcher.pipeline = replace(pipeline, fusion=fusion)
            outcome = searcher.search(text, size=pipeline.rank_window)
            hits = [ir_measures.ScoredDoc(key, hit.candidate.doc_id, -float(hit.rank)) for hit in outcome.page]
            run.pages.setdefault(name, []).extend(hits)
            if name == "model alone":
                run.ms.append(outcome.summary.scorer_ms)
                run.scores[key] = {hit.candidate.doc_id: hit.rerank_score or 0.0 for hit in outcome.page}
    searcher.pipeline = pipeline
    return run


def ndcg(collection: Collection, queries: dict[str, str], run: Run) -> dict[str, float]:
    """nDCG@10 of each fusion, the mean over the queries."""
    qrels = collection.qrels()
    judged = [ir_measures.Qrel(query, doc, grade) for query in queries for doc, grade in qrels[query].items()]
    return {name: ir_measures.calc_aggregate([nDCG @ 10], judged, page)[nDCG @ 10] for name, page in run.pages.items()}


def taus(plain: Run, run: Run) -> Iterator[float]:
    """Kendall's tau-b between the scores of the same hits, for each query."""
    for query, scores in plain.scores.items():
        if len(scores) > 1:
            yield float(kendalltau(list(scores.values()), [run.scores[query][key] for key in scores]).statistic)
