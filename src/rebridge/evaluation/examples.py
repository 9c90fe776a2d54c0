"""Single queries to look at: those that a variant changed most, and how the model scored what is relevant."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rebridge.evaluation.journal import Journal
from rebridge.evaluation.report import Example, ScoreSample, Shown

if TYPE_CHECKING:
    from rebridge.evaluation.database import Database
    from rebridge.evaluation.model import Answer, Hit, Qrels, Result, Topics
    from rebridge.evaluation.running import VariantRun

#: Hits of each list.
_SHOWN = 10
#: Scores that a sample holds of relevant hits, and as many of others.
_SAMPLE = 2000


def changed_most(subject: Result, baseline: Result, measure: str, count: int) -> list[str]:
    """The queries that gained most, at most so many, then those that lost most; the largest change first."""
    before, after = baseline.values[measure], subject.values[measure]
    change = {query_id: after[query_id] - before[query_id] for query_id in before}
    gained = sorted((query_id for query_id in change if change[query_id] > 0), key=lambda each: -change[each])
    lost = sorted((query_id for query_id in change if change[query_id] < 0), key=lambda each: change[each])
    return gained[:count] + lost[:count]


def examples(  # noqa: PLR0913 - two variants, what they were asked, and what to show of it
    subject: tuple[VariantRun, Result],
    baseline: tuple[VariantRun, Result],
    topics: Topics,
    *,
    database: Database,
    measure: str,
    count: int,
) -> list[Example]:
    """The queries that the subject changed most, with both lists.

    Args:
        subject: a variant and its result.
        baseline: the one that it is compared with.
        topics: what both were asked.
        database: where their answers are.
        measure: by which they are compared.
        count: most queries that gained, and most that lost.
    """
    journal = Journal(database)

    def shown(run: VariantRun, query_id: str) -> tuple[Shown, ...]:
        answer = journal.get(run.key, query_id, topics.queries[query_id])
        return tuple(_shown(run, hit, topics.qrels[query_id].get(hit.doc_id)) for hit in _top(answer))

    return [
        Example(
            query_id,
            topics.queries[query_id],
            baseline[1].values[measure][query_id],
            subject[1].values[measure][query_id],
            shown(baseline[0], query_id),
            shown(subject[0], query_id),
        )
        for query_id in changed_most(subject[1], baseline[1], measure, count)
    ]


def score_samples(runs: Sequence[VariantRun], topics: Topics, database: Database) -> list[ScoreSample]:
    """For each model a sample of the raw scores that it gave to relevant hits, and to others."""
    firsts = {run.model.key: run for run in reversed(runs) if run.model is not None}
    journal = Journal(database)
    return [
        _score_sample(run, journal.answers(run.key, topics.queries), topics.qrels) for run in reversed(firsts.values())
    ]


def _score_sample(run: VariantRun, answers: Iterable[Answer], qrels: Qrels) -> ScoreSample:
    relevant, other = _Reservoir(), _Reservoir()
    for answer in answers:
        grades = qrels[answer.query_id]
        for doc_id, score in _scores(answer):
            (relevant if grades.get(doc_id, 0) > 0 else other).add(score)
    return ScoreSample(run.variant.config.scorer.model, tuple(relevant.kept), tuple(other.kept))


def _scores(answer: Answer) -> Iterator[tuple[str, float]]:
    return ((hit.doc_id, hit.rerank_score) for hit in answer.hits if hit.rerank_score is not None)


class _Reservoir:
    """Keeps a fair sample of what it is given (algorithm R of Vitter, ACM TOMS 1985)."""

    def __init__(self) -> None:
        self.kept: list[float] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 - a sample, no secret

    def add(self, value: float) -> None:
        self._seen += 1
        if len(self.kept) < _SAMPLE:
            self.kept.append(value)
        elif (place := self._random.randrange(self._seen)) < _SAMPLE:
            self.kept[place] = value


def _top(answer: Answer | None) -> Sequence[Hit]:
    return answer.hits[:_SHOWN] if answer is not None else ()


def _shown(run: VariantRun, hit: Hit, grade: int | None) -> Shown:
    fields = run.first_stage.engine.get(hit.doc_id)
    title = "" if fields is None else run.pipeline.passage.build(fields).text.partition("\n")[0]
    return Shown(hit.doc_id, title, grade, hit.first_stage_rank, hit.rerank_score)
