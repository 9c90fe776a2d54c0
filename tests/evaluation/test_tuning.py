"""Tuning in memory: what is tried, what is recommended, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError, ScorerError
from rebridge.evaluation.comparing import compare
from rebridge.evaluation.database import Database
from rebridge.evaluation.model import Result, Topics
from rebridge.evaluation.tuning import Job, Report, Setting, Space, run_job
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.steps import Windows
from rebridge.testing import FakeScorer, MemoryEngine

from .memory_bench import bench

CONFIG = PipelineConfig(passage=PassageTemplate("{text}"), rank_window=5, fusion=Fusion("weighted", 0.5))
SPACE = Space(rank_windows=(5, 10), weights=(0.2, 0.8), normalisers=("min_max",))

# Every query finds ten documents, the relevant one eighth; the model scores it as `helpful` says.
DOCUMENTS = {
    f"q{query}-{place}": {"text": f"word{query} " * (11 - place) + f"document {place}"}
    for query in range(24)
    for place in range(1, 11)
}
TOPICS = Topics(
    {f"q{query}": f"word{query}" for query in range(24)}, {f"q{query}": {f"q{query}-8": 1} for query in range(24)}
)


def helpful(_query: str, text: str) -> float:
    """A model that knows."""
    return 1.0 if text.endswith(" 8") else 0.0


def harmful(_query: str, text: str) -> float:
    """A model that is wrong, and spoils a query's first hit too."""
    return 0.0 if text.endswith((" 8", " 1")) else 1.0


def tuned(
    folder: Path, model: Callable[[str, str], float], space: Space = SPACE, topics: Topics = TOPICS, **job: object
) -> Report:
    """What tuning in memory comes to, without timing."""
    chosen = {"timed": 0, **job}
    with Database(folder / "scores.sqlite") as database:
        return run_job(
            Job("memory", CONFIG, space, **chosen),  # type: ignore[arg-type]
            bench(database, FakeScorer(model), over=MemoryEngine(DOCUMENTS)),
            topics,
        )


def test_recommends_what_helps(tmp_path: Path) -> None:
    """A model that knows gets the window that it needs and a weight that lets it; equal seeds give equal reports."""
    report = tuned(tmp_path, helpful)
    found = report.tuning
    assert found.recommended
    assert found.chosen.rank_window == 10
    assert found.expected.mean == pytest.approx(1.0)
    assert found.expected.baseline_mean == pytest.approx(1 / np.log2(9))
    assert set(found.fold_choices) == {found.chosen}
    assert found.expected.difference == pytest.approx(found.optimistic.difference) == pytest.approx(found.tuning_gain)
    assert found.own is not None
    assert found.own.setting == Setting.of(CONFIG)
    assert found.expected_over_own is not None
    assert found.expected_over_own.difference > 0
    assert [tried.mean for tried in found.tried] == sorted((tried.mean for tried in found.tried), reverse=True)
    assert tuned(tmp_path, helpful) == report


def test_changes_nothing_for_nothing(tmp_path: Path) -> None:
    """A pipeline is changed only for another setting that is expected to be better on unseen queries."""
    found = tuned(tmp_path, helpful).tuning
    assert found.own is not None
    assert found.expected_over_own is not None
    assert found.changes
    assert replace(found, own=None, expected_over_own=None).changes
    assert not replace(found, chosen=found.own.setting).changes
    assert not replace(found, expected_over_own=replace(found.expected_over_own, difference=-0.001)).changes


def test_recommends_nothing_else(tmp_path: Path) -> None:
    """A model that does not help is not recommended, with whatever setting."""
    found = tuned(tmp_path, harmful).tuning
    assert not found.recommended
    assert found.expected.low <= 0


@pytest.mark.parametrize("queries", range(5, 11))
def test_few_queries_recommend_nothing_by_chance(tmp_path: Path, queries: int) -> None:
    """Of settings that differ from the first stage by chance alone no more than one in twenty is recommended."""
    found, chance = tuned(tmp_path, helpful).tuning, np.random.default_rng(queries)

    def recommended(after: np.ndarray) -> bool:
        values = {"before": np.zeros(queries), "after": after}
        results = [
            Result(name, {"nDCG@10": {str(number): float(value) for number, value in enumerate(row)}})
            for name, row in values.items()
        ]
        return replace(found, expected=compare(results, "nDCG@10", baseline="before")[0]).recommended

    lucky = sum(recommended(chance.normal(size=queries)) for _ in range(200))
    assert lucky <= 200 / 20
    assert recommended(np.full(queries, 0.1)) == (queries > 5)


def test_fewer_texts_than_queries(tmp_path: Path) -> None:
    """Queries of the same text count once where queries are few."""
    topics = Topics(dict.fromkeys(TOPICS.queries, "word0"), TOPICS.qrels)
    with pytest.raises(ConfigError, match="1 judged queries of different text"):
        tuned(tmp_path, helpful, topics=topics)


def test_failed_searches_are_not_timed(tmp_path: Path) -> None:
    """Searches that fail while they are timed end tuning: they would make a rank window look fast."""

    def fails(query: str, text: str) -> float:
        if query == "word0":
            raise ScorerError("out of memory")
        return helpful(query, text)

    with pytest.raises(ScorerError, match=r"rank window of 5, 1 of 2 timed searches .*--timed 0"):
        tuned(tmp_path, fails, timed=2)


def test_own_window_is_wider(tmp_path: Path) -> None:
    """A pipeline whose own rank window is above all that are asked for is not scored that far, and not compared."""
    found = tuned(tmp_path, helpful, Space(rank_windows=(3,), methods=("rrf",))).tuning
    assert found.own is None
    assert found.expected_over_own is None
    assert {tried.setting.rank_window for tried in found.tried} == {3}


def test_hits_without_judgements_left_out(tmp_path: Path) -> None:
    """A measure that leaves them out finds judged hits behind its number of ranks, as an evaluation does."""
    judged = Topics(TOPICS.queries, {query: {f"{query}-8": 1, f"{query}-7": 0} for query in TOPICS.queries})
    found = tuned(tmp_path, helpful, topics=judged, measure="P(judged_only=True)@1").tuning
    assert found.expected.baseline_mean == 0.0
    found = tuned(tmp_path, helpful, topics=judged, measure="nDCG(judged_only=True)@5").tuning
    assert found.expected.baseline_mean == pytest.approx(1 / np.log2(3))


def test_threshold(tmp_path: Path) -> None:
    """A pipeline's threshold is in force while it is tuned."""
    with Database(tmp_path / "scores.sqlite") as database:
        config = CONFIG.model_copy(update={"min_rerank_score": 2.0})
        job = Job("memory", config, SPACE, timed=0)
        found = run_job(job, bench(database, FakeScorer(helpful), over=MemoryEngine(DOCUMENTS)), TOPICS).tuning
    assert {tried.mean for tried in found.tried} == {0.0}


def test_latency_budget(tmp_path: Path) -> None:
    """Rank windows are timed on the path that serves, without stored scores, and slow ones are left out."""

    def slow(query: str, text: str) -> float:
        time.sleep(0.03)
        return helpful(query, text)

    space = Space(rank_windows=(1, 10), methods=("replace",))
    config = CONFIG.model_copy(update={"rank_window": 1})
    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(slow), over=MemoryEngine(DOCUMENTS))
        for _ in range(2):  # the second time the scores are stored
            report = run_job(Job("memory", config, space, timed=2, budget_ms=290), on, TOPICS)
            assert {latency.rank_window: latency.p95 >= 300 for latency in report.latencies} == {1: False, 10: True}
            assert {tried.setting.rank_window for tried in report.tuning.tried} == {1}
        with pytest.raises(ConfigError, match=r"the fastest, 1, took .*--latency-budget-ms"):
            run_job(Job("memory", config, space, timed=1, budget_ms=1), on, TOPICS)


@pytest.mark.parametrize(("late", "fits"), [(1, True), (2, False)])
def test_late_searches(tmp_path: Path, *, late: int, fits: bool) -> None:
    """One search in twenty may be as slow as it likes, two may not."""
    asked: list[str] = []

    def sometimes(query: str, text: str) -> float:
        asked.append(query)
        time.sleep(0.5 if 5 < len(asked) <= 5 + late else 0)
        return helpful(query, text)

    space = Space(rank_windows=(1,), methods=("replace",))
    config = CONFIG.model_copy(update={"rank_window": 1})
    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(sometimes), over=MemoryEngine(DOCUMENTS))
        job = Job("memory", config, space, timed=20, budget_ms=200)
        with nullcontext() if fits else pytest.raises(ConfigError, match="No rank window"):
            run_job(job, on, TOPICS)


def test_deadline_is_a_budget_too(tmp_path: Path) -> None:
    """A rank window that the pipeline's own deadline would cut short is left out, whatever the budget."""

    def slow(query: str, text: str) -> float:
        time.sleep(0.03)
        return helpful(query, text)

    space = Space(rank_windows=(1, 10), methods=("replace",))
    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(slow), over=MemoryEngine(DOCUMENTS))
        config = CONFIG.model_copy(update={"rank_window": 1, "deadline_ms": 290})
        report = run_job(Job("memory", config, space, timed=1, budget_ms=60_000), on, TOPICS)
        assert {latency.rank_window: latency.p95 >= 300 for latency in report.latencies} == {1: False, 10: True}
        assert {tried.setting.rank_window for tried in report.tuning.tried} == {1}
        config = config.model_copy(update={"deadline_ms": 1})
        with pytest.raises(ConfigError, match=r"within 1 ms .* Raise the pipeline's own deadline_ms"):
            run_job(Job("memory", config, space, timed=1, budget_ms=60_000), on, TOPICS)


@pytest.mark.parametrize(
    ("queries", "job", "message"),
    [
        (5, {}, "5 judged queries.* at least 6"),
        (6, {"folds": 8}, "fewer --folds"),
        (9, {"measure": "Recall@window"}, "another measure"),
        (9, {"measure": "AP@1000"}, "fewer ranks"),
        (9, {"measure": "nDGC@10"}, "nDCG"),
    ],
)
def test_impossible(tmp_path: Path, queries: int, job: dict[str, object], message: str) -> None:
    """What cannot be tuned is refused before anything is scored, with the cure."""
    few = Topics(dict(list(TOPICS.queries.items())[:queries]), TOPICS.qrels)

    def never(_query: str, _text: str) -> float:
        raise AssertionError("scored")

    with pytest.raises(ConfigError, match=message):
        tuned(tmp_path, never, topics=few, **job)


def test_every_setting_once() -> None:
    """Settings are all combinations, none twice: what a method does not use is not varied."""
    space = Space(
        rank_windows=(5, 10),
        weights=(0.2, 0.5),
        normalisers=("min_max", "rank"),
        templates=("{title}", "{text}"),
        passage_windows=(None, Windows(64, 32)),
    )
    found = space.settings(CONFIG)
    # two rank windows, four passages; weighted: 2 weights by 2 by 2 normalisers, rrf: 2 weights, replace: 1
    assert len(found) == len(set(found)) == 2 * 4 * (8 + 2 + 1)
    assert found[0] == Setting.of(CONFIG)
    cheap = sorted(found, key=lambda setting: setting.cost)
    assert cheap[0].rank_window == 5
    assert cheap[0].passage.windows is None
