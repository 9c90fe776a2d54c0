"""Many indices behind one door, each with the pipeline that is for it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from rebridge import PipelineConfig
from rebridge.bridge import Bridge, Count
from rebridge.config import ConnectorSection, ScorerSection
from rebridge.connector import load
from rebridge.errors import ConfigError, ModelNotFound, ScorerError
from rebridge.passages import PassageTemplate
from rebridge.stories import together
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

DOCUMENTS = {f"d{n}": {"title": f"shoe {n}"} for n in range(1, 10)}
REQUEST = {"query": "shoe", "size": 2}


def pipeline(**changes: Any) -> PipelineConfig:
    memory = ConnectorSection(name="memory")
    return PipelineConfig(connector=memory, passage=PassageTemplate("{title}"), rank_window=5, **changes)


def number(query: str, passage: str) -> float:
    del query
    return float(passage.rsplit(maxsplit=1)[-1])


def bridge(config: Any, **options: Any) -> Bridge:
    return Bridge(MemoryConnector(), config, scorer=FakeScorer(number), **options)


def ids(outcome: Any) -> list[str]:
    return [hit["id"] for hit in outcome.reply["hits"]]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"shop": {"rank_window": 10}}, r"dict for 'shop': .*PipelineConfig\(rank_window=10\).*model_validate"),
        ({3: pipeline()}, r"for 3: give an index's name"),
        (42, r"int as its config: give a folder"),
        ("cfg/shop.yaml", r"shop\.yaml is a file, not a folder .*give wrap\(\) the folder cfg"),
        ("cgf", r"no folder cgf of pipeline files \(/.*/cgf\)"),
        ("cfg", r"No file in cfg is a pipeline for memory"),
        (None, r"no folder /.*/configs of pipeline files: make it"),
    ],
)
def test_what_is_no_config(config: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is given instead of pipelines is told with what to give."""
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "shop.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REBRIDGE_CONFIGS", raising=False)
    with pytest.raises(ConfigError, match=told):
        bridge(config)


@pytest.fixture
def engine() -> MemoryEngine:
    """An engine with nine documents, d1 first."""
    return MemoryEngine(DOCUMENTS)


class TestTargets:
    CONFIGS = {  # noqa: RUF012 - nobody changes it
        "shop": pipeline(also=["shop-*", "store"]),
        "news": pipeline(also=["news-*", "news-old-*"]),
        "archive": pipeline(also=["*-old-?"]),
    }

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("shop", None),
            ("store", None),
            ("shop-2024", None),
            ("shop-*", None),
            ("shop,store, shop-1", None),
            ("shop-*,-shop-old", None),
            ("shop,news", "several_pipelines"),
            ("shop,other", "no_pipeline"),
            ("other", "no_pipeline"),
            ("Shop", "no_pipeline"),
            ("", "no_pipeline"),
            (None, "no_pipeline"),
            ("*", "no_pipeline"),
        ],
    )
    def test_lead_to_one_pipeline_or_none(self, engine: MemoryEngine, target: str | None, reason: str | None) -> None:
        """Names and patterns lead to a pipeline; a request for several pipelines, or for none, passes through."""
        outcome = bridge(self.CONFIGS).answer(target, REQUEST, engine.search)
        assert outcome.summary.reason == reason
        assert ids(outcome) == (["d5", "d4"] if reason is None else ["d1", "d2"])

    def test_the_longest_pattern_wins(self) -> None:
        """Where several patterns match, the longest one counts."""
        chosen = bridge(self.CONFIGS)._choose
        assert chosen("news-old-1")[0] == "news"
        assert chosen("shop-old-1")[0] == "archive"

    def test_one_pipeline_for_all(self, engine: MemoryEngine) -> None:
        """A single pipeline reranks every index, and requests that name none."""
        for target in ("a", "a,b*", None):
            assert ids(bridge(pipeline()).answer(target, REQUEST, engine.search)) == ["d5", "d4"]

    def test_a_name_of_two_pipelines_is_refused(self) -> None:
        """A name must not lead to two pipelines; the message names both."""
        with pytest.raises(ConfigError, match="'a' and 'b' are both for 'x'"):
            bridge({"a": pipeline(also=["x"]), "b": pipeline(also=["x"])})


class TestFolders:
    def test_files_of_this_connector_count(self, tmp_path: Path) -> None:
        """A pipeline file is for its stem, for the engine's own name of the index, and for its other names."""
        pytest.importorskip("tantivy")
        shop = "connector: {name: tantivy, index: products}\nalso: [goods]\n"
        (tmp_path / "shop.yaml").write_text(shop)
        (tmp_path / "remote.yaml").write_text("connector: {name: solr}\n")
        served = Bridge(load("tantivy"), tmp_path, scorer=FakeScorer())
        assert [served.serves(name) for name in ("shop", "products", "goods", "remote")] == [True, True, True, False]

    def test_no_pipeline_is_an_error(self, tmp_path: Path) -> None:
        """A folder without a pipeline for the engine is a mistake, and the message says what to write."""
        with pytest.raises(ConfigError, match=r"connector: \{name: memory\}"):
            bridge(tmp_path)


class TestModels:
    def test_are_loaded_at_once_or_at_first_use(self, engine: MemoryEngine) -> None:
        """A model that is missing is found when the bridge is made; or, if lazy, degrades searches and says so."""
        config = pipeline(scorer={"model": "/nowhere", "local_files_only": True})
        with pytest.raises(ModelNotFound):
            Bridge(MemoryConnector(), config)
        lazy = Bridge(MemoryConnector(), config, lazy=True)
        outcomes = [lazy.answer("a", REQUEST, engine.search)]
        outcomes.append(asyncio.run(lazy.answer_async("a", REQUEST, _awaited(engine))))
        assert [ids(outcome) for outcome in outcomes] == [["d1", "d2"]] * 2
        assert {outcome.summary.status for outcome in outcomes} == {"degraded"}

    def test_a_given_scorer_stays_open(self, engine: MemoryEngine) -> None:
        """Closing the bridge does not close a scorer that the user gave, and searches go on."""
        closed = []

        class Mine(FakeScorer):
            def close(self) -> None:
                closed.append(True)

        with_mine = Bridge(MemoryConnector(), pipeline(), scorer=Mine(number))
        with_mine.close()
        assert not closed
        assert ids(with_mine.answer("a", REQUEST, engine.search)) == ["d5", "d4"]

    def test_the_reply_names_the_scorer(self, engine: MemoryEngine) -> None:
        """The model in the annotation is the one that scored, not the one that the pipeline would have loaded."""
        outcome = bridge(pipeline()).answer("a", REQUEST, engine.search)
        assert outcome.reply["_rerank"]["model"] == FakeScorer().name

    def test_what_was_loaded_is_closed_if_another_cannot_be(self) -> None:
        """A bridge that cannot be made leaves no model behind."""
        closed = []

        class Good(FakeScorer):
            def close(self) -> None:
                closed.append(True)

        def opener(section: ScorerSection) -> FakeScorer:
            if section.model == "bad":
                raise ScorerError("no such model")
            return Good()

        configs = {name: pipeline(scorer={"model": name}) for name in ("good", "bad")}
        with pytest.raises(ScorerError, match="no such model"):
            Bridge(MemoryConnector(), configs, opener=opener)
        assert closed == [True]


class TestSeveralAtOnce:
    SEARCHES = [("shop", REQUEST), ("other", REQUEST), ("shop", {**REQUEST, "sort": "n"}), ("shop", {"query": "d"})]  # noqa: RUF012

    def test_ask_engine_and_scorer_once(self, engine: MemoryEngine, drive: Any) -> None:
        """Several searches are fetched at once and scored at once, each under its own pipeline."""
        asked: list[list[Any]] = []

        def send(requests: list[Any]) -> list[Any]:
            asked.append(requests)
            return [engine.search(request) for request in requests]

        served = bridge({"shop": pipeline()})
        outcomes = drive(together([served.search(*search) for search in self.SEARCHES]), send, None)
        assert [len(requests) for requests in asked] == [4]
        assert [outcome.summary.reason for outcome in outcomes] == [None, "no_pipeline", "own_sort", None]
        assert ids(outcomes[0]) == ["d5", "d4"]
        assert served.counts[Count("shop", "applied", None)] == 2
        assert served.counts[Count(None, "bypassed", "no_pipeline")] == 1

    def test_queries_are_announced_before_the_engine_is_asked(self, engine: MemoryEngine, drive: Any) -> None:
        """The scorer hears of the queries that it will be asked for, and of no others."""
        heard: list[str] = []

        class Hears(FakeScorer):
            def announce(self, query: str, *, deadline: float | None = None) -> None:
                heard.append(query)

        def send(requests: list[Any]) -> list[Any]:
            assert heard == ["shoe", "d"]
            return [engine.search(request) for request in requests]

        served = Bridge(MemoryConnector(), {"shop": pipeline()}, scorer=Hears(number))
        drive(together([served.search(*search) for search in self.SEARCHES]), send, None)
        behind = ("shop", {**REQUEST, "from": 6})
        drive(served.search(*behind), engine.search, None)
        assert heard == ["shoe", "d"]

    def test_one_failure_costs_no_other(self, engine: MemoryEngine, drive: Any) -> None:
        """What fails in one search is that search's own affair."""
        problem, served = RuntimeError("no such index"), bridge(pipeline())
        results = drive(
            together([served.search("a", REQUEST), served.search("b", REQUEST)]),
            lambda requests: [problem, engine.search(requests[1])],
            None,
        )
        assert results[0] is problem
        assert ids(results[1]) == ["d5", "d4"]

    def test_scorer_failures_degrade_each(self, engine: MemoryEngine, drive: Any) -> None:
        """A scorer that is down degrades all searches, and none fails."""
        served = Bridge(MemoryConnector(), pipeline(), scorer=FakeScorer(error=ScorerError("down")))
        searches = [served.search("a", REQUEST) for _ in range(2)]
        results = drive(together(searches), lambda some: [engine.search(one) for one in some], None)
        assert [result.summary.status for result in results] == ["degraded", "degraded"]


def test_odd_replies_pass_through(caplog: pytest.LogCaptureFixture) -> None:
    """An application gets what its engine said, whatever it is; the log says that it was odd."""
    asked = []

    def odd(request: Any) -> str:
        asked.append(request)
        return "<html>secret"

    with caplog.at_level(logging.WARNING, "rebridge"):
        outcome = bridge(pipeline()).answer("a", REQUEST, odd)
    assert (outcome.reply, outcome.summary.reason) == ("<html>secret", "odd_reply")
    assert asked[-1] == REQUEST
    assert "no list of hits" in caplog.text
    assert "secret" not in caplog.text


def _awaited(engine: MemoryEngine) -> Any:
    async def search(request: Any) -> Any:
        return engine.search(request)

    return search
