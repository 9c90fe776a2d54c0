"""One tuning from its settings to its figures: what ``rebridge tune`` does, without reading options and printing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError
from rebridge.evaluation.measures import WINDOW_RECALL, Measure, parse_measures
from rebridge.evaluation.model import Topics
from rebridge.evaluation.running import DEPTH, Bench, Progress, sample
from rebridge.evaluation.tuning.choosing import distinct
from rebridge.evaluation.tuning.evidence import collect, without_text
from rebridge.evaluation.tuning.latency import Latency, time_windows
from rebridge.evaluation.tuning.search import Tuning, tune
from rebridge.evaluation.tuning.space import Setting, Space
from rebridge.passages import PassageTemplate

#: With fewer queries no gain can be told from chance: the paired test's p of five gains is 2/32.
FEWEST_QUERIES = 6
#: With fewer queries only large gains can be told from chance.
FEW_QUERIES = 20


@dataclass(frozen=True, slots=True)
class Job:
    """What to tune, and how; see ``rebridge tune --help``.

    Attributes:
        index: its name.
        config: its pipeline.
        space: what is tried.
        measure: the name of what counts.
        folds: of the queries.
        seed: of all draws.
        timed: how many searches are timed with each rank window; 0 for no budget.
        budget_ms: what the 95th percentile of their times must not exceed; nor may it exceed the pipeline's deadline.
    """

    index: str
    config: PipelineConfig
    space: Space
    measure: str = "nDCG@10"
    folds: int = 5
    seed: int = 0
    timed: int = 20
    budget_ms: float = 500.0

    @property
    def limit_ms(self) -> float:
        """What searches may take: behind the pipeline's own deadline they would be answered in first-stage order."""
        deadline = self.config.deadline_ms
        return self.budget_ms if deadline is None else min(self.budget_ms, deadline)


@dataclass(frozen=True, slots=True)
class Report:
    """What came out.

    Attributes:
        topics: queries and judgements.
        measure: what counted.
        tuning: the choice and its worth.
        latencies: what was timed.
        textless: passage template -> how many queries it makes no text for; without those that do for all.
    """

    topics: Topics
    measure: Measure
    tuning: Tuning
    latencies: tuple[Latency, ...]
    textless: Mapping[PassageTemplate, int]


def run_job(
    job: Job, bench: Bench, topics: Topics, on_progress: Progress = lambda _what, _done, _total: None
) -> Report:
    """Time, score, choose.

    Args:
        job: what to tune.
        bench: on what; scores are kept in its database, so that the same call resumes.
        topics: queries and judgements.
        on_progress: told how far it is.

    Raises:
        ConfigError: if there are too few queries, the measure is none for tuning, no rank window is fast enough, or a
            passage template makes no text.
        ConnectorError: if the engine fails.
        ScorerError: if the model does.
    """
    (measure,) = parse_measures([job.measure], topics.qrels)
    _check(job, measure, max(distinct(topics.queries.values()), default=-1) + 1)
    settings = job.space.settings(job.config)
    latencies: list[Latency] = []
    if job.timed:
        tell = partial(on_progress, "timed searches")
        latencies = time_windows(bench, job.config, settings, sample(topics.queries, job.timed), tell)
        settings = within_limit(settings, latencies, job)
    widest = {setting.passage: 0 for setting in settings}
    for setting in settings:
        widest[setting.passage] = max(widest[setting.passage], setting.rank_window)
    total = len(topics.queries)
    evidence = collect(
        bench, job.config, topics.queries, widest, lambda done: on_progress("queries scored", done, total)
    )
    textless = without_text(evidence)
    found = tune(
        evidence,
        settings,
        topics,
        measure,
        own=Setting.of(job.config),
        count=job.folds,
        seed=job.seed,
        threshold=job.config.min_rerank_score,
        on_progress=lambda done: on_progress("queries compared", done, total),
    )
    return Report(topics, measure, found, tuple(latencies), textless)


def within_limit(settings: tuple[Setting, ...], latencies: list[Latency], job: Job) -> tuple[Setting, ...]:
    """The settings whose passage and rank window kept within the job's limit; none is guessed between rank windows.

    Raises:
        ConfigError: if there is none.
    """
    fast = {(latency.passage, latency.rank_window) for latency in latencies if latency.p95 <= job.limit_ms}
    if not fast:
        best = min(latencies, key=lambda latency: latency.p95)
        cure = "--latency-budget-ms" if job.limit_ms == job.budget_ms else "the pipeline's own deadline_ms"
        raise ConfigError(
            f"No rank window keeps 95% of searches within {job.limit_ms:g} ms on this machine: the fastest, "
            f"{best.rank_window}, took {best.p95:.0f} ms. Raise {cure}, or give narrower --windows."
        )
    return tuple(setting for setting in settings if (setting.passage, setting.rank_window) in fast)


def _check(job: Job, measure: Measure, queries: int) -> None:
    """Refuse what nothing can be made of before anything is scored."""
    if queries < max(FEWEST_QUERIES, job.folds):
        cure = ", or ask for fewer --folds" if queries >= FEWEST_QUERIES else ""
        raise ConfigError(
            f"There are {queries} judged queries of different text; tuning in {job.folds} folds needs at least "
            f"{max(FEWEST_QUERIES, job.folds)}. Judge more queries{cure}."
        )
    if measure.name == WINDOW_RECALL:
        raise ConfigError(f"{WINDOW_RECALL} grows with the rank window, whatever the ranking: take another measure.")
    if (measure.cutoff or 0) > DEPTH:
        raise ConfigError(f"{measure.name} looks at more than the {DEPTH} hits that tuning looks at: take fewer ranks.")
