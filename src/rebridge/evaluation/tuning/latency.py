"""How long searches take with each rank window, on the path that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rebridge.config import PipelineConfig
from rebridge.errors import ScorerError
from rebridge.evaluation.model import Variant
from rebridge.evaluation.running import DEGRADED, Bench, prepare
from rebridge.evaluation.timing import timed_searches
from rebridge.evaluation.tuning.space import Setting
from rebridge.passages import PassageTemplate


@dataclass(frozen=True, slots=True)
class Latency:
    """What was measured for one rank window.

    Attributes:
        passage: what the model read.
        rank_window: how many hits it rescored.
        searches: how many were timed.
        p50: the time that half of them did not exceed, milliseconds.
        p95: the time that 95% of them did not exceed, milliseconds.
    """

    passage: PassageTemplate
    rank_window: int
    searches: int
    p50: float
    p95: float


def time_windows(
    bench: Bench,
    config: PipelineConfig,
    settings: Sequence[Setting],
    queries: Mapping[str, str],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Latency]:
    """Search every query with each passage template and rank window of the settings, keeping nothing in between.

    Fusion takes no time that could be measured, so settings that differ in nothing else are timed together.

    Args:
        bench: what is measured on.
        config: the pipeline.
        settings: whose passages and rank windows are timed.
        queries: id -> text; at least one.
        on_progress: told how many searches are done, and how many there are.

    Raises:
        ScorerError: if a search could not be reranked: its time would say nothing.
    """
    pairs = list(dict.fromkeys((setting.passage, setting.rank_window) for setting in settings))
    variants = []
    for number, (passage, window) in enumerate(pairs):
        # A deadline would cut long searches short, and so make them look faster than they are.
        changed = config.model_copy(update={"passage": passage, "rank_window": window, "deadline_ms": None})
        variants.append(Variant(str(number), changed))
    measured = timed_searches(prepare(variants, bench), queries, bench.models, on_progress)
    latencies = []
    for variant, (passage, window) in zip(variants, pairs, strict=True):
        times, late = measured[variant.name]
        failed = [reason for reason in late if not reason.startswith(f"{DEGRADED}no_passages")]  # that is no failure
        if failed:
            raise ScorerError(
                f"With a rank window of {window}, {sum(late[reason] for reason in failed)} of {len(queries)} timed "
                f"searches could not be reranked ({', '.join(failed)}). Look into it with `rebridge doctor`, ask for "
                "narrower --windows, or leave latency out of account with --timed 0."
            )
        total = times.total_ms
        # Times that were measured, not values between two of them: else one search in twenty could be too slow alone.
        p50, p95 = (float(share) for share in np.percentile(total, [50, 95], method="inverted_cdf"))
        latencies.append(Latency(passage, window, len(total), p50, p95))
    return latencies
