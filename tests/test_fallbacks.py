"""Fallbacks: the first scorer that works answers, and the reply says which; else the first stage's order."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rebridge import PipelineConfig
from rebridge.bridge import Bridge, Count
from rebridge.config import ScorerSection
from rebridge.drivers import run, run_async
from rebridge.errors import DeadlineExceeded, ScorerError
from rebridge.evaluation.shared_fetch import SharedFetch
from rebridge.flow import Outcome, rerank_flow
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Fallback, Pipeline
from rebridge.scorers.base import Scorer
from rebridge.searcher import Searcher
from rebridge.steps import Windows
from rebridge.stories import together
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

REQUEST = {"query": "q"}
DOCUMENTS = {f"d{i}": {"text": f"d{i}", "stage": float(9 - i)} for i in range(5)}
PIPELINE = Pipeline(
    "docs", MemoryConnector(), PassageTemplate("{text}"), fusion=Fusion("replace"), rank_window=3, model="gpu"
)


class Short(FakeScorer):
    """Gives too few scores."""

    def submit(self, query: str, passages: Sequence[str], **options: Any) -> Any:
        return super().submit(query, passages[1:], **options)


class Refusing(FakeScorer):
    """Does not even take the work."""

    def submit(self, query: str, passages: Sequence[str], **options: Any) -> Any:
        raise ScorerError("closed")


FAULTS: dict[str, Callable[[], Scorer]] = {
    "raises": lambda: FakeScorer(error=ScorerError("out of memory")),
    "a bug": lambda: FakeScorer(error=ValueError("a bug")),
    "gives up in time": lambda: FakeScorer(error=DeadlineExceeded("too slow for me")),
    "nothing finite": lambda: FakeScorer(default=math.nan),
    "too few": Short,
    "refuses": Refusing,
}


def scorer(place: int) -> FakeScorer:
    """A scorer that works, and prefers another document than those in other places."""
    return FakeScorer({f"d{place % 3}": 1.0, f"d{(place + 1) % 3}": 0.5})


def engine() -> MemoryEngine:
    return MemoryEngine(DOCUMENTS, lambda _query, fields: fields["stage"])


def chained(count: int) -> Pipeline:
    return replace(PIPELINE, fallbacks=tuple(Fallback(f"spare{place}") for place in range(1, count)))


def ids(outcome: Outcome[Any]) -> list[str]:
    return [hit["id"] for hit in outcome.reply["hits"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.lists(st.none() | st.sampled_from(list(FAULTS)), min_size=1, max_size=4))
def test_the_first_that_works(pattern: list[str | None], drive: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever pattern of scorers fails, the answer is that of the first that works, else the first stage's."""
    caplog.set_level(logging.CRITICAL, "rebridge")
    scorers = [scorer(place) if fault is None else FAULTS[fault]() for place, fault in enumerate(pattern)]
    outcome = drive(rerank_flow(REQUEST, chained(len(pattern))), engine().search, scorers)
    works = pattern.index(None) if None in pattern else None
    if works is None:
        assert ids(outcome) == list(DOCUMENTS)
        assert outcome.summary.status == "degraded"
    else:
        alone = run(rerank_flow(REQUEST, PIPELINE), engine().search, scorer(works))
        assert [(hit["id"], hit["score"]) for hit in outcome.reply["hits"]] == [
            (hit["id"], hit["score"]) for hit in alone.reply["hits"]
        ]
        assert outcome.summary.status == "applied"
        assert outcome.summary.reason == ("fallback" if works else None)
        assert outcome.summary.model == (f"spare{works}" if works else "gpu")
    tried = scorers[: len(pattern) if works is None else works + 1]
    asked = [len(one.calls) for one in scorers if isinstance(one, FakeScorer) and not isinstance(one, Refusing)]
    assert asked == [int(one in tried) for one in scorers if not isinstance(one, Refusing)]


def test_the_reply_says_so(drive: Any) -> None:
    """The reply names the scorer that answered; what failed inside stays inside."""
    scorers = [FakeScorer(error=ScorerError("no /secret/path")), scorer(1)]
    outcome = drive(rerank_flow(REQUEST, chained(2)), engine().search, scorers)
    noted = outcome.reply["_rerank"]
    assert (noted["status"], noted["reason"], noted["model"]) == ("applied", "fallback", "spare1")
    assert "secret" not in str(outcome.reply)
    assert outcome.summary.detail == "gpu: no /secret/path"


def test_no_threshold(drive: Any) -> None:
    """A threshold is one of the pipeline's own model: where a fallback answers, nothing is removed."""
    pipeline = replace(chained(2), min_rerank_score=0.7)
    scorers = [FakeScorer(error=ScorerError("down")), scorer(1)]
    assert ids(drive(rerank_flow(REQUEST, pipeline), engine().search, scorers)) == ["d1", "d2", "d0", "d3", "d4"]
    assert ids(drive(rerank_flow(REQUEST, pipeline), engine().search, [scorer(1), scorer(2)])) == ["d1"]


def test_no_time_left(drive: Any) -> None:
    """When the deadline has passed, no fallback is asked."""
    spare = scorer(1)
    pipeline = replace(chained(2), deadline_s=0.05)
    outcome = drive(rerank_flow(REQUEST, pipeline), engine().search, [FakeScorer(hangs=True), spare])
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "deadline")
    assert spare.calls == []


def test_no_passages_is_no_failure_of_a_scorer(drive: Any) -> None:
    """Where no candidate has text, there is nothing to ask a fallback."""
    spare = scorer(1)
    pipeline = replace(chained(2), passage=PassageTemplate("{body}"))
    outcome = drive(rerank_flow(REQUEST, pipeline), engine().search, [scorer(0), spare])
    assert outcome.summary.reason == "no_passages"
    assert spare.calls == []


def test_raises_what_the_last_one_raised(drive: Any) -> None:
    """With on_error: raise fallbacks are asked all the same, and then the last failure is raised."""
    pipeline = replace(chained(2), on_error="raise")
    down = FakeScorer(error=ScorerError("down"))
    assert ids(drive(rerank_flow(REQUEST, pipeline), engine().search, [down, scorer(1)]))[0] == "d1"
    last = FakeScorer(error=ScorerError("also down"))
    with pytest.raises(ScorerError, match="also down"):
        drive(rerank_flow(REQUEST, pipeline), engine().search, [down, last])


def test_windows_only_where_they_can_be_cut(drive: Any) -> None:
    """A fallback that cannot cut passages into windows is given them whole."""
    where = MemoryEngine({"long": {"text": "a b c d e f g h i j"}}, lambda *_: 1.0)
    passage = PassageTemplate("{text}", windows=Windows(size=8, stride=2))
    pipeline = replace(PIPELINE, passage=passage, fallbacks=(Fallback("whole", cuts=False),))
    down = FakeScorer(error=ScorerError("down"))
    assert drive(rerank_flow(REQUEST, pipeline), where.search, [FakeScorer()]).page[0].windows == (0.0, 0.0)
    assert drive(rerank_flow(REQUEST, pipeline), where.search, [down, FakeScorer()]).page[0].windows == (0.0,)


def test_evaluation_measures_one_model() -> None:
    """Where figures are taken a fallback is not asked: the query counts as degraded."""
    shared = SharedFetch(engine(), REQUEST, [chained(2)])
    found = shared.search(chained(2), FakeScorer(error=ScorerError("down")))
    assert (found.outcome.summary.status, found.outcome.summary.detail) == ("degraded", "down")


class TestBridge:
    CONFIG = PipelineConfig.model_validate(
        {
            "passage": {"template": "{text}"},
            "fusion": {"method": "replace"},
            "scorer": {"kind": "remote", "url": "http://gpu:8080", "model": "gpu"},
            "fallbacks": [{"model": "cpu-small"}],
        }
    )
    DOWN = FakeScorer(error=ScorerError("down"))

    def bridge(self, **scorers: FakeScorer) -> Bridge:
        return Bridge(
            MemoryConnector(), {"shop": self.CONFIG, "other": self.CONFIG}, opener=lambda section: scorers[section.name]
        )

    def test_opener(self) -> None:
        """Scorers come from the opener that is given; a fallback's answers are counted as such."""
        spare = scorer(1)
        with_spare = self.bridge(**{"gpu": self.DOWN, "cpu-small": spare})
        outcome = with_spare.answer("shop", REQUEST, engine().search)
        assert outcome.summary.model == "cpu-small"
        assert ids(outcome)[0] == "d1"
        assert with_spare.counts == {Count("shop", "applied", "fallback"): 1}

    def test_equal_sections_are_opened_once(self) -> None:
        """Pipelines share the scorers of equal sections, and each scorer is opened once."""
        opened: list[str] = []

        def opener(section: ScorerSection) -> Scorer:
            opened.append(section.name)
            return FakeScorer()

        Bridge(MemoryConnector(), {"shop": self.CONFIG, "other": self.CONFIG}, opener=opener)
        assert sorted(opened) == ["cpu-small", "gpu"]

    def test_a_given_scorer_stands_for_all(self) -> None:
        """A scorer that is given for all pipelines has no fallbacks: the models they name are not wanted."""
        bridge = Bridge(MemoryConnector(), self.CONFIG, scorer=self.DOWN)
        assert bridge.answer("shop", REQUEST, engine().search).summary.status == "degraded"

    def test_several_at_once(self, drive: Any) -> None:
        """Of several searches at once, each gets the first scorer that works for it."""
        picky = FakeScorer(lambda query, text: math.nan if query == "q" else float(text == "d2"))
        bridge = self.bridge(**{"gpu": picky, "cpu-small": scorer(1)})
        where = engine()
        stories = [bridge.search("shop", {"query": query}) for query in ("q", "r")]
        outcomes = drive(together(stories), lambda asked: [where.search(one) for one in asked], None)
        assert [outcome.summary.reason for outcome in outcomes] == ["fallback", None]
        assert [ids(outcome)[0] for outcome in outcomes] == ["d1", "d2"]


class TestSearcher:
    def test_asks_them(self) -> None:
        """A searcher has fallbacks too, blocking or not."""
        down = FakeScorer(error=ScorerError("down"))
        with Searcher(chained(2), engine(), down, {"text": 1.0}, [scorer(1)]) as searcher:  # type: ignore[arg-type]
            assert searcher.send(REQUEST).summary.model == "spare1"
            assert asyncio.run(searcher.send_async(REQUEST)).summary.model == "spare1"

    def test_none_without_them(self) -> None:
        """A searcher that was given one scorer has that one, whatever the pipeline says."""
        down = FakeScorer(error=ScorerError("down"))
        with Searcher(chained(2), engine(), down, {"text": 1.0}) as searcher:  # type: ignore[arg-type]
            assert searcher.send(REQUEST).summary.detail == "down"


def test_cancelling_ends_the_chain() -> None:
    """A search whose task is cancelled asks no further scorer."""
    spare = scorer(1)

    async def search() -> None:
        async def fetch(request: Any) -> Any:
            return engine().search(request)

        task = asyncio.create_task(
            run_async(rerank_flow(REQUEST, chained(2), time.monotonic), fetch, [FakeScorer(hangs=True), spare])
        )
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(search())
    assert spare.calls == []
