"""Variants measured on judged queries: the path that serves, shared work, resuming, failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from rebridge.errors import ConfigError, ConnectorError, ScorerError
from rebridge.evaluation.database import Database
from rebridge.evaluation.journal import Journal
from rebridge.evaluation.measures import DEFAULT_MEASURES, evaluate, parse_measures
from rebridge.evaluation.model import Answer, Hit, Result, Topics, Variant
from rebridge.evaluation.running import Bench, evaluate_variants, invalid, prepare
from rebridge.evaluation.variants import variants
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

from .memory_bench import DOCUMENTS, TOPICS, bench, config, engine, favourites

MEASURES = parse_measures(DEFAULT_MEASURES)
FUSIONS = {"fusion.weight": [0.2, 0.9], "rank_window": [3, 12]}

#: All queries, there being so few, are asked again to tell whether the index has changed.
PROBED = len(TOPICS.queries)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "evaluation.sqlite") as database:
        yield database


def evaluated(where: Bench, chosen: list[Variant], topics: Topics = TOPICS, **options: Any) -> list[Result]:
    runs = prepare(chosen, where, topics.queries)
    return evaluate_variants(runs, topics, where, measures=MEASURES, **{"timed": 0, **options})


def test_what_is_measured_is_what_serves(database: Database) -> None:
    """The figures are those of the hits that a searcher of the same pipeline answers."""
    chosen = variants(config(), "shoes", FUSIONS)
    results = evaluated(bench(database), chosen)
    assert [result.variant for result in results] == [variant.name for variant in chosen]
    assert len(chosen) == 3 + 4
    for variant, result in zip(chosen, results, strict=True):
        pipeline = variant.config.pipeline("shoes", MemoryConnector())
        searcher = Searcher(pipeline, engine(), FakeScorer(favourites), {"title": 1.0})
        for query_id, text in TOPICS.queries.items():
            page = searcher.search(text, size=20, rerank=variant.rerank).page
            hits = tuple(Hit(hit.candidate.doc_id, hit.score, hit.candidate.rank) for hit in page)
            before = searcher.search(text, size=variant.config.rank_window, rerank=False).page
            window = tuple(hit.candidate.doc_id for hit in before)
            values = evaluate(Answer(query_id, hits, window), TOPICS.qrels[query_id], MEASURES)
            assert values == {measure: result.values[measure][query_id] for measure in values}
    assert len({result.mean("nDCG@10") for result in results}) > 3


def test_one_request_and_one_score_for_all(database: Database) -> None:
    """However many variants there are, each query goes to the engine once, and each passage to the model once.

    The queries that tell whether the index has changed go there once more.
    """
    over, model = engine(), FakeScorer(favourites)
    evaluated(bench(database, model, over=over), variants(config(), "shoes", FUSIONS))  # type: ignore[arg-type]
    assert len(over.requests) == PROBED + len(TOPICS.queries)
    asked = [(query, passage) for query, passages in model.calls for passage in passages]
    assert len(asked) == len(set(asked)) == 12 * len(TOPICS.queries)


def test_a_finished_evaluation_asks_nobody(database: Database) -> None:
    """The same evaluation over the same files gives the same figures, without a model; the engine is only probed."""
    chosen = variants(config(), "shoes", {})
    first = evaluated(bench(database), chosen)
    over = engine()
    told: list[tuple[str, int, int]] = []

    def no_model(_section: Any) -> Any:
        raise AssertionError("no model is needed")

    again = bench(database, over=over, models=no_model)  # type: ignore[arg-type]
    assert evaluated(again, chosen, on_progress=lambda *state: told.append(state)) == first
    assert len(over.requests) == PROBED
    assert told == [("queries", 0, 0)]


def test_stored_scores_need_no_model(database: Database) -> None:
    """Another fusion over the same passages costs one request for each query, and loads no model."""
    evaluated(bench(database), variants(config(), "shoes", {}))

    def no_model(_section: Any) -> Any:
        raise AssertionError("no model is needed")

    (result,) = evaluated(bench(database, models=no_model), [Variant("new", config(fusion={"weight": 0.1}))])
    assert not result.not_applied


def test_interrupted_and_resumed(database: Database) -> None:
    """Ctrl-C loses at most the query that was being asked; progress counts what is left, and figures are the same."""
    chosen = variants(config(), "shoes", {})

    class Interrupted(MemoryEngine):
        def search(self, request: dict[str, Any]) -> dict[str, Any]:
            if len(self.requests) == PROBED + 1:
                raise KeyboardInterrupt
            return super().search(request)

    told: list[tuple[str, int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        evaluated(bench(database, over=Interrupted(DOCUMENTS)), chosen)  # type: ignore[arg-type]
    over = engine()
    resumed = evaluated(bench(database, over=over), chosen, on_progress=lambda *state: told.append(state))  # type: ignore[arg-type]
    assert told == [("queries", 0, 6), ("queries", 3, 6), ("queries", 6, 6)]
    assert len(over.requests) == PROBED + 2
    with Database(Path(":memory:")) as fresh:
        assert evaluated(bench(fresh), chosen) == resumed


def test_new_variants_and_queries_are_added(database: Database) -> None:
    """Only what is new is asked: another variant, another query, another text of a query."""
    evaluated(bench(database), variants(config(), "shoes", {}))
    topics = replace(TOPICS, queries={**TOPICS.queries, "q2": "boot shoe"})
    told: list[tuple[str, int, int]] = []
    chosen = variants(config(), "shoes", {"fusion.weight": [0.1]})
    evaluated(bench(database), chosen, topics, on_progress=lambda *state: told.append(state))
    assert told[0] == ("queries", 0, 3 + 3)


@pytest.mark.parametrize("changed", ["index", "depth", "passage", "window", "model"])
def test_other_circumstances_are_not_mixed(database: Database, changed: str) -> None:
    """Answers of another index, depth, passage, window or model are never taken for these."""
    evaluated(bench(database), [Variant("fused", config())])
    over, settings, depth = engine(), config(), 20
    if changed == "index":
        over.add([("new", {"title": "number 99", "text": "shoe"})])
    elif changed == "depth":
        depth = 10
    else:
        values = {"passage": {"template": "{title}"}, "window": 9, "model": {"model": "other"}}
        key = {"passage": "passage", "window": "rank_window", "model": "scorer"}[changed]
        settings = config(**{key: values[changed]})
    evaluated(bench(database, over=over, depth=depth), [Variant("fused", settings)])  # type: ignore[arg-type]
    assert len(over.requests) == PROBED + len(TOPICS.queries)


def test_degraded_queries_make_a_variant_invalid(database: Database) -> None:
    """A model that fails is counted, not raised, also where the pipeline says raise; it is asked again later."""
    chosen = variants(config(on_error="raise", deadline_ms=1), "shoes", {})
    down = FakeScorer(error=ScorerError("down"))
    first_stage, rerank, fused = evaluated(bench(database, down), chosen)
    assert not first_stage.not_applied
    assert invalid(rerank) == invalid(fused) == {"degraded: scorer_failed": 3}
    assert fused.values["nDCG@10"] == first_stage.values["nDCG@10"]
    over = engine()
    *_, fused = evaluated(bench(database, over=over), chosen)  # type: ignore[arg-type]
    assert not fused.not_applied
    assert len(over.requests) == PROBED + 3


def test_bypassed_queries_are_counted_and_valid(database: Database) -> None:
    """Queries that pass through when the pipeline serves are measured as they are answered then."""

    class Sorting(MemoryConnector):
        def request(self, text: str, **options: Any) -> dict[str, Any]:
            return {**super().request(text, **options), **({"sort": "title"} if "boot" in text else {})}

    first_stage, _, fused = evaluated(bench(database, connector=Sorting()), variants(config(), "shoes", {}))
    assert fused.not_applied == {"bypassed: own_sort": 1}
    assert not invalid(fused)
    assert fused.values["nDCG@10"]["q3"] == first_stage.values["nDCG@10"]["q3"]


def test_models_that_cannot_be_loaded_end_it(database: Database) -> None:
    """A model that is not there is an error at once, not a degraded answer to every query."""

    def broken(_section: Any) -> Any:
        raise ScorerError("no such model")

    with pytest.raises(ScorerError, match="no such model"):
        evaluated(bench(database, models=broken), variants(config(), "shoes", {}))
    (only,) = evaluated(bench(database, models=broken), [Variant("first stage", config(), rerank=False)])
    assert only.values


def test_engine_failures_name_the_query(database: Database) -> None:
    """A query that the engine cannot answer ends it, with its id."""

    class Failing(MemoryEngine):
        def search(self, request: dict[str, Any]) -> dict[str, Any]:
            raise ConnectorError("gone")

    with pytest.raises(ConnectorError, match=r"'q1' cannot be answered: gone"):
        evaluated(bench(database, over=Failing(DOCUMENTS)), variants(config(), "shoes", {}))  # type: ignore[arg-type]


def test_queries_without_hits_count(database: Database) -> None:
    """A query that finds nothing counts as 0 for every variant."""
    topics = Topics({"q1": "shoe", "q9": "zebra"}, {"q1": {"d3": 1}, "q9": {"d1": 1}})
    for result in evaluated(bench(database), variants(config(), "shoes", {}), topics):
        assert result.values["nDCG@10"]["q9"] == result.values["Recall@window"]["q9"] == 0.0
        assert not result.not_applied


def test_an_index_that_has_changed(database: Database) -> None:
    """Answers of an index whose documents have changed since are not taken for its answers now; scores still are."""
    chosen, model = variants(config(), "shoes", {}), FakeScorer(favourites)
    over = engine()
    where = bench(database, model, over=over)  # type: ignore[arg-type]
    evaluate_variants(prepare(chosen, where, TOPICS.queries), TOPICS, where, measures=MEASURES, timed=0)
    before, calls = len(over.requests), len(model.calls)
    evaluate_variants(prepare(chosen, where, TOPICS.queries), TOPICS, where, measures=MEASURES, timed=0)
    assert len(over.requests) == before + len(TOPICS.queries)  # looked at, and found to be the same
    over.documents["d5"] = {**over.documents["d5"], "title": "number 555"}
    results = evaluate_variants(prepare(chosen, where, TOPICS.queries), TOPICS, where, measures=MEASURES, timed=0)
    assert len(over.requests) == before + 3 * len(TOPICS.queries)
    assert [list(passages) for _, passages in model.calls[calls:]] == [["number 555\n" + "shoe " * 4 + "shoe"]] * 3
    with Database(Path(":memory:")) as fresh:
        assert evaluated(bench(fresh, over=over), chosen) == results  # type: ignore[arg-type]


def test_names_must_differ(database: Database) -> None:
    """Two variants of one name could not be told apart."""
    with pytest.raises(ConfigError, match="same"):
        prepare([Variant("same", config()), Variant("same", config(rank_window=3))], bench(database))


def test_answers_come_back_as_they_were(database: Database) -> None:
    """The journal gives back exactly what it was given, in the order of the queries."""
    answers = [
        Answer("q2", (Hit("d 1", 1 / 3, 7, -1e-300), Hit("é\t", 0.1, 2)), ("d 1",), "degraded", "deadline"),
        Answer("q1", (), ()),
    ]
    journal = Journal(database)
    for answer in answers:
        journal.put("text", [(b"run", answer)])
    assert list(journal.answers(b"run", {"q1": "text", "q2": "text"})) == answers[::-1]
    with pytest.raises(LookupError):
        list(journal.answers(b"run", {"q1": "other text"}))
