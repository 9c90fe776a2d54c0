"""Latency is measured on the path that serves: in full, uncached, with the deadline in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from rebridge.config import ScorerSection
from rebridge.evaluation.database import Database
from rebridge.evaluation.measures import parse_measures
from rebridge.evaluation.model import Result
from rebridge.evaluation.models import LoadedModels
from rebridge.evaluation.running import evaluate_variants, invalid, prepare
from rebridge.evaluation.variants import variants
from rebridge.scorers import open_section
from rebridge.scorers.cache import EmbeddingCache
from rebridge.scorers.score_cache import CachedScorer
from rebridge.testing import FakeScorer

from .memory_bench import TOPICS, bench, config, engine, favourites


def timed(scorer: FakeScorer, count: int, told: list[Any] | None = None, **options: Any) -> list[Result]:
    """An evaluation whose rankings are all there already, so that only timing asks engine and model."""
    chosen = variants(config(**options), "shoes", {"fusion.weight": [0.1, 0.2], "rank_window": [8, 12]})
    with Database(Path(":memory:")) as database:
        where = bench(database)
        evaluate_variants(prepare(chosen, where), TOPICS, where, measures=parse_measures(["P@5"]), timed=0)
        where = bench(database, scorer)
        return evaluate_variants(
            prepare(chosen, where),
            TOPICS,
            where,
            measures=parse_measures(["P@5"]),
            timed=count,
            on_progress=None if told is None else lambda *state: told.append(state),
        )


def test_every_search_asks_the_model() -> None:
    """Stored scores are not used: each timed search asks for all passages of its window."""
    model = FakeScorer(favourites)
    told: list[Any] = []
    results = timed(model, 2, told)
    # Three kinds of search (first stage, window 8, window 12), one of warming up and two that count.
    assert sorted(len(passages) for _, passages in model.calls) == [8] * 3 + [12] * 3
    assert told[-1] == ("timed searches", 9, 9)
    assert all(len(result.times.total_ms) == 2 for result in results)
    times = {result.variant: result.times for result in results}
    assert times["rerank"] == times["fused"] == times["fusion.weight=0.1 rank_window=8"]
    assert times["fused"] != times["fusion.weight=0.1 rank_window=12"]
    assert times["first stage"].scorer_ms == (0.0, 0.0)
    for result in results:
        of = result.times
        assert all(total >= engine for total, engine in zip(of.total_ms, of.engine_ms, strict=True))


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (3, 3), (50, 3)])
def test_as_many_as_asked(count: int, expected: int) -> None:
    """No more queries are timed than there are, and none if none are wanted."""
    assert {len(result.times.total_ms) for result in timed(FakeScorer(favourites), count)} == {expected}


def test_deadlines_hold_while_timing() -> None:
    """A model that is too slow for the pipeline's deadline makes its variants invalid, though rankings are complete."""
    results = timed(FakeScorer(hangs=True), 2, deadline_ms=1)
    assert not invalid(results[0])
    assert invalid(results[1]) == {"degraded: deadline (timed searches)": 2}


def test_embeddings_are_not_kept_while_timing() -> None:
    """A model that keeps embeddings of passages does without while it is timed, and has them back afterwards."""

    class Keeping:
        store: Any = EmbeddingCache(10**6)
        queries: Any = EmbeddingCache(10**6)

    class Model(FakeScorer):
        family = Keeping()

        def submit(self, query: str, passages: Any, **options: Any) -> Any:
            assert self.family.store.max_bytes == 0
            # What was read ahead is there for this search, and for no later one.
            self.family.queries.put(b"q", "read ahead")
            assert [self.family.queries.get(b"q") for _ in range(2)] == ["read ahead", None]
            return super().submit(query, passages, **options)

    model = Model(favourites)
    kept = model.family.store, model.family.queries
    timed(model, 1)
    assert model.calls
    assert (model.family.store, model.family.queries) == kept


def test_a_page_of_ten() -> None:
    """What is timed is a search for the first page, with the pipeline's own window."""
    over = engine()
    chosen = variants(config(), "shoes", {})
    with Database(Path(":memory:")) as database:
        where = bench(database, over=over)  # type: ignore[arg-type]
        evaluate_variants(prepare(chosen, where), TOPICS, where, measures=parse_measures(["P@5"]), timed=1)
    assert {request["size"] for request in over.requests[len(TOPICS.queries) :]} == {10}


def test_scores_are_never_kept() -> None:
    """Whatever a pipeline says, the model of an evaluation keeps no scores, and so none are timed that were kept."""
    section = ScorerSection.model_validate({"kind": "remote", "url": "http://127.0.0.1:1", "score_cache": True})
    with LoadedModels() as models, open_section(section) as serving:
        assert isinstance(serving, CachedScorer)
        assert not isinstance(models(section), CachedScorer)
