"""Measures of rankings, by ir_measures and trec_eval.

Ranks count, not scores: trec_eval sorts hits by score and equal scores by document id, the highest first, so that ties
would come out in another order than the user saw. Hits are therefore handed over with scores that fall by one from rank
to rank; where scores are all different, nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from rebridge.errors import ConfigError, MissingExtra, unknown
from rebridge.evaluation.model import Answer, Qrels

#: The share of the relevant documents that the first stage put into the rank window: no reranker gets above it.
WINDOW_RECALL = "Recall@window"
#: What is measured if nobody says otherwise.
DEFAULT_MEASURES = ("nDCG@10", "RR@10", "AP@100", "P@10", "R@100", "Success@10", "Judged@10", WINDOW_RECALL)
#: Queries that go through trec_eval together; one by one they take five times as long.
BATCH = 50

#: How people write a measure, in lower case -> how ir_measures does.
NAMES: Mapping[str, str] = {
    "ndcg": "nDCG",
    "rr": "RR",
    "mrr": "RR",
    "ap": "AP",
    "map": "AP",
    "p": "P",
    "precision": "P",
    "r": "R",
    "recall": "R",
    "success": "Success",
    "accuracy": "Success",
    "hit-rate": "Success",
    "hit_rate": "Success",
    "hitrate": "Success",
    "judged": "Judged",
    "rprec": "Rprec",
    "bpref": "Bpref",
}
#: Measures that are nothing without a number of ranks.
NEED_CUTOFF = ("P", "R", "Success")
#: What computes them: parts of ir_measures that need no other program.
PROVIDERS = ("pytrec_eval", "judged", "msmarco")
WRITTEN = re.compile(r"\s*(?P<name>[A-Za-z][\w-]*)\s*(?P<parameters>\(.*\))?\s*(?:@\s*(?P<cutoff>\w+))?\s*")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure.

    Attributes:
        name: as ir_measures writes it, e.g. ``nDCG@10`` or ``P(rel=2)@10``; or `WINDOW_RECALL`.
        cutoff: how many ranks it looks at; None for all, as where hits without judgements are left out first.
        rel: the lowest grade that it takes as relevant.
        official: what ir_measures knows it by; None for `WINDOW_RECALL`.
    """

    name: str
    cutoff: int | None = None
    rel: int = 1
    official: Any = field(default=None, compare=False, repr=False)


def parse_measures(names: Iterable[str], qrels: Qrels | None = None) -> tuple[Measure, ...]:
    """The measures of these names, each once.

    Case does not count; MRR is RR, MAP is AP, Recall is R, Precision is P, Accuracy and Hit-Rate are Success.

    Args:
        names: e.g. ``nDCG@10``, ``P(rel=2)@10`` (grades from 2 on are relevant), ``Recall@window``.
        qrels: judgements that they must fit.

    Raises:
        ConfigError: if there is no such measure, or `qrels` has no grade that it takes as relevant.
        MissingExtra: if ir_measures is not installed.
    """
    measures = tuple(dict.fromkeys(_parsed(name) for name in names))
    if not measures:
        raise ConfigError(f"No measure to compute. Name one, e.g. {DEFAULT_MEASURES[0]}.")
    if qrels is not None:
        highest = max((grade for of_query in qrels.values() for grade in of_query.values()), default=0)
        for measure in measures:
            if measure.rel > max(highest, 1):
                raise ConfigError(
                    f"{measure.name} takes grades from {measure.rel} on as relevant, but the highest grade of these "
                    f"judgements is {highest}. Take a lower rel, or leave it out."
                )
    return measures


def evaluate(answer: Answer, qrels_of_query: Mapping[str, int], measures: Sequence[Measure]) -> dict[str, float]:
    """Measure one answer; see `evaluate_all`, which is much faster for many.

    Args:
        answer: the ranking.
        qrels_of_query: document -> grade, at least one.
        measures: from `parse_measures`.

    Returns:
        the measure's name -> its value.
    """
    return next(evaluate_all([answer], {answer.query_id: qrels_of_query}, measures))[1]


def evaluate_all(
    answers: Iterable[Answer], qrels: Qrels, measures: Sequence[Measure]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure answers, of one variant or of several, holding no more than `BATCH` of them at a time.

    An answer without hits counts as 0, as with trec_eval's ``-c``; so does a query without relevant documents. Only
    answers that are given are measured. A document that a ranking has twice counts at its first rank.

    Args:
        answers: rankings.
        qrels: the judgements of all these queries.
        measures: from `parse_measures`.

    Yields:
        query id, and the measure's name -> its value, in the order of the answers.

    Raises:
        KeyError: if a query has no judgements.
    """
    waiting = iter(answers)
    official = [measure.official for measure in measures if measure.official is not None]
    while batch := list(islice(waiting, BATCH)):
        # Under their numbers, so that answers to the same query do not get in each other's way.
        judged = {str(number): dict(qrels[answer.query_id]) for number, answer in enumerate(batch)}
        values = {
            number: {WINDOW_RECALL: _window_recall(answer, of_query)}
            for answer, (number, of_query) in zip(batch, judged.items(), strict=True)
        }
        if official:
            import ir_measures

            # Without empty rankings, which are 0: pytrec_eval can crash on them.
            ranked = {str(number): _by_rank(answer) for number, answer in enumerate(batch) if answer.hits}
            for number, measure, value in ir_measures.evaluator(official, judged).iter_calc(ranked):
                values[number][str(measure)] = float(value)
        for answer, found in zip(batch, values.values(), strict=True):
            yield answer.query_id, {measure.name: found[measure.name] for measure in measures}


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """The median and the 95th and 99th percentile, between two values by linear interpolation.

    Args:
        values: e.g. milliseconds.

    Returns:
        ``p50``, ``p95`` and ``p99``; nothing if there are no values.
    """
    given = list(values)
    if not given:
        return {}
    return {f"p{share}": float(np.percentile(given, share)) for share in (50, 95, 99)}


def _by_rank(answer: Answer) -> dict[str, float]:
    """Document -> score for trec_eval, whose 32-bit scores tell apart the first 16 million ranks."""
    ranked: dict[str, float] = {}
    for rank, hit in enumerate(answer.hits, 1):
        ranked.setdefault(hit.doc_id, -float(rank))
    return ranked


def _window_recall(answer: Answer, judged: Mapping[str, int]) -> float:
    relevant = {document for document, grade in judged.items() if grade > 0}
    return len(relevant.intersection(answer.window)) / len(relevant) if relevant else 0.0


def _parsed(text: str) -> Measure:
    """One measure by its name."""
    try:
        import ir_measures
    except ModuleNotFoundError as error:
        raise MissingExtra("Evaluation", "eval") from error
    written = WRITTEN.fullmatch(text)
    name = NAMES.get(written["name"].lower()) if written else None
    if written is None or name is None:
        raise ConfigError(unknown("measure", text, [*DEFAULT_MEASURES, "nDCG", "AP", "RR", "Rprec", "Bpref"]))
    parameters, cutoff = written["parameters"] or "", written["cutoff"]
    if cutoff == "window":
        if name != "R" or parameters:
            raise ConfigError(f"{text}: only {WINDOW_RECALL} is a measure of the window.")
        return Measure(WINDOW_RECALL)
    if cutoff is None and name in NEED_CUTOFF and "cutoff" not in parameters:
        raise ConfigError(f"{text} needs a number of ranks. Write it like {name}@10.")
    try:
        official = ir_measures.parse_measure(f"{name}{parameters}" + (f"@{cutoff}" if cutoff else ""))
        supported = any(ir_measures.providers.registry[provider].supports(official) for provider in PROVIDERS)
    # the library has no error of its own: names, parameters and their types come as these
    except (ValueError, AssertionError, KeyError, NameError, SyntaxError, TypeError) as error:
        raise ConfigError(f"{text}: {error}. Write it like nDCG@10 or P(rel=2)@10.") from None
    if not supported:
        raise ConfigError(f"{text}: this combination of parameters cannot be computed. Leave some of them out.")
    return _measure(official, text)


def _measure(official: Any, text: str) -> Measure:
    rel, cutoff = int(official.params.get("rel", 1)), official.params.get("cutoff")
    if rel < 1:
        raise ConfigError(f"{text}: rel is the lowest relevant grade, from 1 on, not {rel}.")
    if cutoff is not None and cutoff < 1:
        raise ConfigError(f"{text}: the number of ranks is from 1 on, not {cutoff}.")
    return Measure(str(official), None if official.params.get("judged_only") else cutoff, rel, official)
