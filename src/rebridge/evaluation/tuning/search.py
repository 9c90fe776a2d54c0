"""Tuning a pipeline: from evidence to a choice, with what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rebridge.evaluation.comparing import Comparison, compare
from rebridge.evaluation.measures import Measure, evaluate_all
from rebridge.evaluation.model import Answer, Hit, Qrels, Result, Topics
from rebridge.evaluation.running import DEPTH
from rebridge.evaluation.tuning.choosing import Values, choose, cross_validate, folds
from rebridge.evaluation.tuning.evidence import Evidence, Progress, ranking
from rebridge.evaluation.tuning.space import Setting

#: A difference is told from chance up to this p.
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting and its mean over all queries."""

    setting: Setting
    mean: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tuning found.

    Attributes:
        chosen: the setting that was chosen by all queries.
        tried: all settings, the highest mean first.
        own: the pipeline's own setting and its mean; None if it was not tried.
        fold_choices: what was chosen without each fold.
        expected: what choosing this way gains over the first stage on queries that it has not seen. Each query counts
            with the setting that was chosen without it. The interval tells how it would vary with other queries; the
            choices themselves stay as they are.
        expected_over_own: the same over the pipeline as it is; None if that was not tried.
        optimistic: what the chosen setting gains on all queries, those that it was chosen by.
        tuning_gain: the mean over folds of the gain on the queries that the fold's setting was chosen by.
    """

    chosen: Setting
    tried: tuple[Tried, ...]
    own: Tried | None
    fold_choices: tuple[Setting, ...]
    expected: Comparison
    expected_over_own: Comparison | None
    optimistic: Comparison
    tuning_gain: float

    @property
    def recommended(self) -> bool:
        """Whether unseen queries gain with confidence.

        The whole interval of the expected gain must lie above 0, and the paired test must agree: bootstrap intervals
        are too narrow where queries are few.
        """
        return self.expected.low > 0 and self.expected.p <= SIGNIFICANT

    @property
    def changes(self) -> bool:
        """Whether the choice is another setting than the pipeline's own and expected to be better on unseen queries."""
        if self.own is None or self.expected_over_own is None:
            return True
        return self.chosen != self.own.setting and self.expected_over_own.difference > 0


def tune(  # noqa: PLR0913 - keyword options of a public entry point
    evidence: Sequence[Evidence],
    settings: Sequence[Setting],
    topics: Topics,
    measure: Measure,
    *,
    own: Setting | None = None,
    count: int = 5,
    seed: int = 0,
    threshold: float | None = None,
    on_progress: Progress = lambda _: None,
) -> Tuning:
    """Choose a setting, and cross-validate the way it is chosen.

    Args:
        evidence: of every query.
        settings: those to choose from.
        topics: texts and judgements of every query; those of one text take part in the same choices.
        measure: what the best setting has the highest mean of.
        own: the pipeline's own setting.
        count: folds.
        seed: of the folds and the intervals; equal seeds give equal results.
        threshold: the pipeline's ``min_rerank_score``.
        on_progress: told after each query.

    """
    columns = []
    for done, found in enumerate(evidence, start=1):
        columns.append(_values(found, settings, topics.qrels, measure, threshold))
        on_progress(done)
    first_stage, *rows = np.array(columns, dtype=np.float64).T
    values = np.stack(rows)
    costs = [setting.cost for setting in settings]
    place = settings.index(own) if own in settings else None
    dealt = folds([topics.queries[found.query_id] for found in evidence], count, seed)
    crossed = cross_validate(values, first_stage, costs, dealt, place)
    chosen = choose(values, costs, place)

    def gain(after: Values, before: Values) -> Comparison:
        results = [_result("before", measure.name, evidence, before), _result("after", measure.name, evidence, after)]
        return compare(results, measure.name, baseline="before", seed=seed)[0]

    means = values.mean(axis=1)
    tried = [Tried(setting, float(mean)) for setting, mean in zip(settings, means, strict=True)]
    return Tuning(
        chosen=settings[chosen],
        tried=tuple(sorted(tried, key=lambda one: -one.mean)),
        own=None if place is None else tried[place],
        fold_choices=tuple(settings[row] for row in crossed.chosen),
        expected=gain(crossed.held_out, first_stage),
        expected_over_own=None if place is None else gain(crossed.held_out, values[place]),
        optimistic=gain(values[chosen], first_stage),
        tuning_gain=crossed.tuning_gain,
    )


def _values(
    found: Evidence, settings: Sequence[Setting], qrels: Qrels, measure: Measure, threshold: float | None
) -> list[float]:
    """A query's value in the first stage's order, and then with each setting."""
    rankings = [found.doc_ids[:DEPTH], *(ranking(found, setting, threshold) for setting in settings)]
    # Many settings give the same top.
    tops = [ranked[: measure.cutoff] for ranked in rankings]
    different = dict.fromkeys(tops)
    measured = evaluate_all((_answer(found.query_id, top) for top in different), qrels, [measure])
    known = dict(zip(different, (value[measure.name] for _, value in measured), strict=True))
    return [known[top] for top in tops]


def _answer(query_id: str, ranked: Sequence[str]) -> Answer:
    hits = (Hit(doc_id, -float(rank), rank) for rank, doc_id in enumerate(ranked, start=1))
    return Answer(query_id, tuple(hits))


def _result(name: str, measure: str, evidence: Sequence[Evidence], values: Values) -> Result:
    ids = (found.query_id for found in evidence)
    return Result(name, {measure: dict(zip(ids, values.tolist(), strict=True))})
