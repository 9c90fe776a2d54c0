"""Rankings that tuning computes from evidence: the same as those that the pipeline serves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.config import PipelineConfig
from rebridge.drivers import run
from rebridge.errors import ConnectorError, ScorerError
from rebridge.evaluation.database import Database
from rebridge.evaluation.running import DEPTH
from rebridge.evaluation.tuning import Setting, collect, ranking
from rebridge.flow import rerank_flow
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.steps import Windows
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

from .memory_bench import bench

TEXT = PassageTemplate("{text}")
CUT = PassageTemplate("{text}", windows=Windows(size=8, stride=8, pool="top_k_mean", top_k=2))
TITLE = PassageTemplate("{title}")

fusions = st.builds(
    Fusion,
    method=st.sampled_from(["weighted", "rrf", "replace"]),
    weight=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    first_stage_normaliser=st.sampled_from(["min_max", "z_score", "rank", "sigmoid", "identity"]),
    rerank_normaliser=st.sampled_from(["min_max", "z_score", "rank", "sigmoid", "identity"]),
    rrf_k=st.sampled_from([1, 60]),
)
scores = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0, math.nan, -math.inf])


@given(
    first_stage=st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.0]), max_size=12),
    # A model that scores nothing at all ends tuning, so one document has text and a score; narrow windows may miss it.
    rerank=st.tuples(st.sampled_from([0.25, 1.0]), *[scores] * 11),
    texts=st.tuples(
        st.just("one"), *[st.sampled_from(["", "one two three", "a b c d e f g h i j k l m n o p q"])] * 11
    ),
    window=st.integers(1, 14),
    passage=st.sampled_from([TEXT, CUT, TITLE]),
    fusion=fusions,
    threshold=st.none() | st.sampled_from([-1.0, 0.5, 9.0]),
)
def test_equals_the_flow(  # noqa: PLR0917 - hypothesis fills them by name
    first_stage: list[float],
    rerank: tuple[float, ...],
    texts: tuple[str, ...],
    window: int,
    passage: PassageTemplate,
    fusion: Fusion,
    threshold: float | None,
) -> None:
    """For every setting the order computed from the widest window's scores is the one that the flow gives."""
    documents = {
        f"d{number}": {"id": f"d{number}", "title": f"t{number}", "text": f"{text} w{number}" if text else ""}
        for number, text in enumerate(texts[: len(first_stage)])
    }
    engine_scores = {f"d{number}": score for number, score in enumerate(first_stage)}

    def model(_query: str, text: str) -> float:
        return rerank[int("0" + "".join(character for character in text.rsplit(maxsplit=1)[-1] if character.isdigit()))]

    engine = MemoryEngine(documents, lambda _query, fields: engine_scores[fields["id"]])
    config = PipelineConfig(passage=passage, rank_window=window, fusion=fusion, min_rerank_score=threshold)
    connector = MemoryConnector()
    served = run(
        rerank_flow({"query": "words", "size": DEPTH}, config.pipeline("memory", connector)),
        engine.search,
        FakeScorer(model),
    )
    with Database(Path(":memory:")) as database:
        on = bench(database, FakeScorer(model), over=engine)
        (evidence,) = collect(on, config, {"q": "words"}, {TEXT: 14, CUT: 14, TITLE: 14})
    computed = ranking(evidence, Setting(passage, window, fusion), threshold)
    assert list(computed) == [hit.candidate.doc_id for hit in served.page]


DOCUMENTS = {f"d{number}": {"title": f"title {number}", "text": f"shoe number {number}"} for number in range(150)}


def test_asks_once(tmp_path: Path) -> None:
    """The engine is asked once for a query, whatever the number of templates, and a score is computed once for all."""
    scorer = FakeScorer()
    with Database(tmp_path / "scores.sqlite") as database:
        engine = MemoryEngine(DOCUMENTS)
        on = bench(database, scorer, over=engine)
        widest = {TEXT: 20, TITLE: 50}
        (first,) = collect(on, PipelineConfig(), {"q": "shoe"}, widest)
        assert len(engine.requests) == 1
        assert [len(passages) for _, passages in scorer.calls] == [20, 50]
        assert [len(first.rerank[passage]) for passage in widest] == [20, 50]
        assert len(first.doc_ids) == DEPTH
        collect(on, PipelineConfig(), {"q": "shoe"}, widest)
        assert len(scorer.calls) == 2


def test_first_stage_order_without_words(tmp_path: Path) -> None:
    """A query that the pipeline cannot rerank keeps the engine's order in every setting."""
    engine = MemoryEngine({"b": {"text": "1"}, "a": {"text": "2"}}, lambda _query, fields: float(fields["text"]))
    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(), over=engine)
        (evidence,) = collect(on, PipelineConfig(), {"q": "  "}, {TEXT: 5})
    assert ranking(evidence, Setting(TEXT, 5, Fusion("replace"))) == ("a", "b")


def test_failing_model(tmp_path: Path) -> None:
    """A model that fails ends tuning with the query and the reason, also where the pipeline would degrade."""
    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(error=ScorerError("out of memory")), over=MemoryEngine(DOCUMENTS))
        with pytest.raises(ScorerError, match=r"'q7'.*out of memory"):
            collect(on, PipelineConfig(on_error="degrade"), {"q7": "shoe"}, {TEXT: 5})


def test_refused_window(tmp_path: Path) -> None:
    """An engine that refuses the widest window ends tuning with the cure."""

    class Refusing(MemoryConnector):
        def refusal(self, answer: object) -> str | None:
            return "window_refused" if isinstance(answer, dict) and len(answer["hits"]) > 10 else None

    with Database(tmp_path / "scores.sqlite") as database:
        on = bench(database, FakeScorer(), over=MemoryEngine(DOCUMENTS))
        stage = on.first_stages(PipelineConfig())
        stage.connector = Refusing()
        stage.request = lambda _id, text, _size: {"query": text, "size": 5}  # type: ignore[method-assign]
        with pytest.raises(ConnectorError, match="narrower --windows"):
            collect(replace(on, first_stages=lambda _: stage), PipelineConfig(), {"q": "shoe"}, {TEXT: 50})
