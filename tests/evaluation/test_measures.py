from __future__ import annotations

import math
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ir_measures
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConfigError, MissingExtra
from rebridge.evaluation.measures import (
    BATCH,
    DEFAULT_MEASURES,
    WINDOW_RECALL,
    evaluate,
    evaluate_all,
    parse_measures,
    percentiles,
)
from rebridge.evaluation.model import Answer, Hit
from rebridge.evaluation.topics import documents, load_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = os.environ.get("REBRIDGE_DATA")
DOCUMENTS = [f"d{number}" for number in range(12)]
#: Our name -> that of trec_eval.
TREC_EVAL = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "RR": "recip_rank",
    "AP": "map",
    "AP@100": "map_cut_100",
    "P@10": "P_10",
    "R@100": "recall_100",
    "Success@5": "success_5",
    "Rprec": "Rprec",
    "Bpref": "bpref",
}
ALL = [*TREC_EVAL, "RR@10", "Judged@10", "P(rel=2)@5", "R(rel=2)@100", WINDOW_RECALL]

judgements = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 3), min_size=1)
rankings = st.permutations(DOCUMENTS).flatmap(lambda order: st.integers(0, len(order)).map(lambda size: order[:size]))
queries = st.lists(st.tuples(judgements, rankings), min_size=1, max_size=5)


def answer(ranking: Sequence[str], query: str = "q", *, scores: Sequence[float] | None = None) -> Answer:
    """An answer with this ranking, whose scores are all equal if none are given."""
    of_hits = scores or [1.0] * len(ranking)
    return Answer(query, tuple(Hit(*hit, rank) for rank, hit in enumerate(zip(ranking, of_hits, strict=True), 1)))


def one(name: str, ranking: Sequence[str], qrels: dict[str, int]) -> float:
    """The value of one measure."""
    (measure,) = parse_measures([name])
    return evaluate(answer(ranking), qrels, [measure])[measure.name]


def measured(found: list[tuple[dict[str, int], list[str]]], *, ties: bool) -> dict[str, dict[str, float]]:
    """All measures of these queries by us."""
    answers = [
        answer(ranking, str(number), scores=None if ties else [-float(rank) for rank in range(len(ranking))])
        for number, (_, ranking) in enumerate(found)
    ]
    qrels = {str(number): of_query for number, (of_query, _) in enumerate(found)}
    return dict(evaluate_all(answers, qrels, parse_measures(ALL)))


@given(found=queries, ties=st.booleans())
def test_the_rank_order_counts(found: list[tuple[dict[str, int], list[str]]], *, ties: bool) -> None:
    """Values are those of trec_eval for a run in this order without ties, also where scores are equal."""
    ours = measured(found, ties=ties)
    for number, (of_query, ranking) in enumerate(found):
        theirs = dict.fromkeys(TREC_EVAL.values(), 0.0)
        if ranking:  # pytrec_eval can crash on an empty one
            evaluator = pytrec_eval.RelevanceEvaluator({"q": of_query}, set(theirs))
            theirs = evaluator.evaluate({"q": {document: 100.0 - rank for rank, document in enumerate(ranking)}})["q"]
        for name, official in TREC_EVAL.items():
            assert ours[str(number)][name] == pytest.approx(theirs[official], abs=1e-9)


@given(queries)
def test_means_are_those_of_ir_measures(found: list[tuple[dict[str, int], list[str]]]) -> None:
    """Over several queries, those without hits included, means are the aggregates of ir_measures."""
    ours = measured(found, ties=True)
    official = [ir_measures.parse_measure(name) for name in ALL if name != WINDOW_RECALL]
    qrels = {str(number): of_query for number, (of_query, _) in enumerate(found)}
    run = [
        ir_measures.ScoredDoc(str(number), document, 1 / (1 + rank))
        for number, (_, ranking) in enumerate(found)
        for rank, document in enumerate(ranking)
    ]
    for measure, value in ir_measures.calc_aggregate(official, qrels, run).items():
        mean = sum(of_query[str(measure)] for of_query in ours.values()) / len(ours)
        assert mean == pytest.approx(value, abs=1e-9)


def test_known_values() -> None:
    """The formulas are those of the literature: gain by grade, discount by log2(rank + 1)."""
    ranking, qrels = ["x", "a", "y", "b"], {"a": 1, "b": 3, "c": 0}
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert one("nDCG@10", ranking, qrels) == pytest.approx((1 / math.log2(3) + 3 / math.log2(5)) / ideal)
    assert one("RR@10", ranking, qrels) == 0.5
    assert one("RR@1", ranking, qrels) == 0
    assert one("AP@100", ranking, qrels) == 0.5
    assert one("P@10", ranking, qrels) == pytest.approx(0.2)
    assert one("P(rel=2)@4", ranking, qrels) == 0.25
    assert one("R@2", ranking, qrels) == 0.5
    assert one("Success@1", ranking, qrels) == 0
    assert one("Judged@4", ranking, qrels) == 0.5


def test_equal_scores_keep_our_order() -> None:
    """Of two hits with the same score the first one is first, whatever their ids are."""
    assert one("RR", ["a", "z"], {"a": 1}) == 1
    assert one("RR", ["z", "a"], {"z": 1}) == 1


def test_nothing_found_is_zero() -> None:
    """A query without hits, and one without relevant documents, have every value, and it is 0."""
    measures = parse_measures(ALL)
    assert set(evaluate(answer([]), {"a": 3}, measures).values()) == {0.0}
    nothing_relevant = evaluate(answer(["a"]), {"a": 0}, measures)
    assert nothing_relevant.pop("Judged@10") == pytest.approx(1)
    assert set(nothing_relevant.values()) == {0.0}


def test_a_repeated_hit_counts_once() -> None:
    """A document that a ranking has twice counts at its first rank."""
    assert one("AP", ["a", "x", "a"], {"a": 1}) == 1


def test_window_recall() -> None:
    """The recall of the rank window looks at what the first stage found, not at the ranking."""
    (measure,) = parse_measures([WINDOW_RECALL])
    found = Answer("q", (Hit("x", 1.0, 1),), window=("x", "a", "b"))
    assert evaluate(found, {"a": 1, "b": 2, "c": 1, "x": 0}, [measure]) == {WINDOW_RECALL: pytest.approx(2 / 3)}


def test_order_and_laziness() -> None:
    """Values come in the order of the answers, of several to one query too, before the last answer is there."""
    rankings = [["a"], ["x", "a"], []]
    given_out = []

    def answers() -> object:
        for number in range(3 * BATCH):
            given_out.append(number)
            yield answer(rankings[number % 3], str(number // 3))

    qrels = {str(number): {"a": 1} for number in range(BATCH)}
    values = evaluate_all(answers(), qrels, parse_measures(["RR"]))
    assert next(values) == ("0", {"RR": 1.0})
    assert len(given_out) == BATCH
    rest = list(values)
    assert rest[:3] == [("0", {"RR": 0.5}), ("0", {"RR": 0.0}), ("1", {"RR": 1.0})]
    assert len(rest) == 3 * BATCH - 1


@pytest.mark.parametrize(
    ("written", "name", "cutoff"),
    [
        ("MRR@10", "RR@10", 10),
        ("Hit-Rate@5", "Success@5", 5),
        ("Accuracy@1", "Success@1", 1),
        ("NDCG@3", "nDCG@3", 3),
        ("map", "AP", None),
        ("recall@100", "R@100", 100),
        (" precision @ 5 ", "P@5", 5),
        ("p(rel=2)@7", "P(rel=2)@7", 7),
        ("nDCG(judged_only=True)@10", "nDCG(judged_only=True)@10", None),
        ("R@window", WINDOW_RECALL, None),
    ],
)
def test_names(written: str, name: str, cutoff: int | None) -> None:
    """Measures have the names that people give them, and one name in tables."""
    (measure,) = parse_measures([written])
    assert (measure.name, measure.cutoff) == (name, cutoff)


def test_each_measure_once() -> None:
    """Two names of the same measure are one measure; the default ones all exist."""
    assert [measure.name for measure in parse_measures(["MRR@10", "nDCG@10", "RR@10"])] == ["RR@10", "nDCG@10"]
    assert [measure.name for measure in parse_measures(DEFAULT_MEASURES)] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nDGC@10", "Did you mean 'nDCG@10'"),
        ("", "unknown measure ''"),
        ("P", "P@10"),
        ("P@0", "from 1 on, not 0"),
        ("R(cutoff=0)", "from 1 on, not 0"),
        ("P@ten", "P@ten"),
        ("P(rel=0)@10", "from 1 on, not 0"),
        ("P(rl=2)@10", "rl"),
        ("AP@window", "only Recall@window"),
        ("nDCG(dcg='exp-log2')@10", "combination"),
    ],
)
def test_bad_names(name: str, told: str) -> None:
    """A measure that cannot be computed is refused, with what is wrong and how to write it."""
    with pytest.raises(ConfigError) as raised:
        parse_measures([name])
    assert told in str(raised.value)


def test_no_names() -> None:
    """An evaluation needs a measure."""
    with pytest.raises(ConfigError, match="No measure"):
        parse_measures([])


def test_grades_must_be_there() -> None:
    """A measure of higher grades is refused if no judgement has them, and taken if one has."""
    with pytest.raises(ConfigError, match=r"P\(rel=2\)@10 takes grades from 2 on .* highest .* is 1"):
        parse_measures(["nDCG@10", "P(rel=2)@10"], {"q": {"a": 1, "b": 0}})
    assert len(parse_measures(["P(rel=2)@10"], {"q": {"a": 1}, "r": {"a": 2}})) == 1


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ir_measures the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingExtra, match=r"rebridge\[eval\]"):
        parse_measures(["nDCG@10"])


def test_percentiles() -> None:
    """Percentiles are interpolated, and there are none of nothing."""
    assert percentiles(range(101)) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([3.0]) == {"p50": 3, "p95": 3, "p99": 3}
    assert percentiles([]) == {}


def test_many_queries() -> None:
    """10,000 queries of 8 variants are measured in a small part of the time that scoring them takes."""
    chance = random.Random(0)  # noqa: S311 - not for secrets
    names = [str(number) for number in range(1000)]
    qrels = {str(query): {chance.choice(names): chance.randrange(4) for _ in range(20)} for query in range(2000)}
    answers = [answer(chance.sample(names, 100), query) for query in qrels]
    begin = time.process_time()
    assert sum(1 for _ in evaluate_all(answers, qrels, parse_measures(DEFAULT_MEASURES))) == 2000
    spent = (time.process_time() - begin) * 80_000 / 2000
    assert spent < 120, f"{spent:.0f} s for 10,000 queries x 8 variants"


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="set REBRIDGE_DATA to a folder of collections in BEIR layout")
@pytest.mark.parametrize("name", ["aws_docs", "cacm", "chorus_electronics", "cranfield", "scifact", "vaswani_npl"])
def test_real_judgements(name: str) -> None:
    """On real judgements a run that is half chance, half right has trec_eval's own values."""
    folder = Path(str(DATA), name)
    topics = load_topics(folder)
    everything = [doc_id for doc_id, _ in documents(folder)]
    raw = (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    theirs: dict[str, dict[str, int]] = {}
    for query, document, grade in (line.split("\t") for line in raw):
        theirs.setdefault(query, {})[document] = int(grade)
    chance = random.Random(0)  # noqa: S311 - not for secrets
    run = {}
    for query, of_query in theirs.items():
        picked = sorted(set(chance.sample(everything, 80)) | set(chance.sample(sorted(of_query), len(of_query) // 2)))
        chance.shuffle(picked)
        run[query] = picked
    ours = dict(
        evaluate_all([answer(run[query], query) for query in topics.queries], topics.qrels, parse_measures(ALL[:10]))
    )
    evaluator = pytrec_eval.RelevanceEvaluator(theirs, set(TREC_EVAL.values()))
    expected = evaluator.evaluate({q: {d: -float(rank) for rank, d in enumerate(picked)} for q, picked in run.items()})
    assert ours.keys() == expected.keys()
    for query, values in ours.items():
        assert values == {n: pytest.approx(expected[query][TREC_EVAL[n]]) for n in values}
