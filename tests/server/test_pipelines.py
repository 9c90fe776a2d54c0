"""The pipelines of a server: which there are, and how they are replaced while searches run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from rebridge.bridge import Bridge
from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError
from rebridge.scorers.fake import FakeScorer
from rebridge.server.metrics import Metrics
from rebridge.server.pipelines import LivePipelines, keep_pipelines, model_table, open_bridges, read_pipelines
from rebridge.server.settings import ServerSettings
from rebridge.testing import MemoryConnector

SOLR = ServerSettings.model_validate(
    {
        "proxies": [{"engine": "solr", "url": "http://localhost:8983", "listen": "127.0.0.1:0"}],
        "models": {"small": {"model": "a/b"}},
    }
)


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "shop.yaml").write_text("connector: {name: solr}\nscorer: {model: a/b}\nfallbacks: [{model: c/d}]\n")
    (folder / "wiki.yaml").write_text("connector: {name: elasticsearch}\n")
    return folder


class Closing(Bridge):
    """A bridge that says when it is closed."""

    closed = False

    def __init__(self) -> None:
        super().__init__(MemoryConnector(), {"docs": PipelineConfig()}, scorer=FakeScorer())

    def close(self) -> None:
        self.closed = True
        super().close()


def test_pipelines_of_proxied_engines(configs: Path) -> None:
    """A proxy's pipelines are those of its engine; their models are held once each, beside those of the settings."""
    pipelines = read_pipelines(SOLR, configs)
    assert {engine: list(some) for engine, some in pipelines.items()} == {"solr": ["shop"]}
    assert [model.name for model in model_table(SOLR, pipelines).models] == ["small", "c/d"]
    assert open_bridges(SOLR, configs, lambda _: FakeScorer())["solr"].serves("shop")


def test_an_engine_without_pipelines(tmp_path: Path) -> None:
    """A proxy that could rerank nothing is a mistake, and told as such."""
    with pytest.raises(ConfigError, match="is a pipeline for solr"):
        open_bridges(SOLR, tmp_path, lambda _: FakeScorer())


def test_kept_files_stay(configs: Path, tmp_path: Path) -> None:
    """What was kept is in force until something else is kept, whatever happens to the files."""
    kept = tmp_path / "kept"
    keep_pipelines(configs, kept)
    (configs / "shop.yaml").write_text("connector: {name: nonsense}")
    assert "shop" in read_pipelines(SOLR, kept)["solr"]
    (configs / "shop.yaml").write_text("connector: {name: solr}\nrank_window: 7")
    keep_pipelines(configs, kept)
    assert read_pipelines(SOLR, kept)["solr"]["shop"].rank_window == 7


def test_a_reload_replaces_all_at_once() -> None:
    """Searches that begin after a reload get the new pipelines; those that run keep the old ones for a while."""
    old, new = Closing(), Closing()
    left = [old, new]

    async def reload() -> None:
        live = LivePipelines(lambda: {"memory": left.pop(0)}, Metrics(), grace_s=0.05)
        assert live.bridge("memory") is old
        assert await live.reload()
        assert live.bridge("memory") is new
        assert not old.closed
        await asyncio.sleep(0.2)
        assert old.closed
        assert not new.closed
        live.close()

    asyncio.run(reload())
    assert new.closed


def test_nobody_waits_for_the_old_pipelines() -> None:
    """Closing them may take a while; requests are answered meanwhile."""
    began, over = threading.Event(), threading.Event()

    class Slow(Closing):
        def close(self) -> None:
            began.set()
            over.wait(5)
            super().close()

    old = Slow()
    left = [old, Closing()]

    async def reload() -> None:
        live = LivePipelines(lambda: {"memory": left.pop(0)}, Metrics(), grace_s=0)
        await live.reload()
        assert await asyncio.to_thread(began.wait, 5)
        assert not old.closed
        over.set()
        live.close()

    asyncio.run(reload())
    assert old.closed


def test_a_reload_with_an_error_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong file leaves the old pipelines in force; it is logged and counted."""
    old, metrics = Closing(), Metrics()
    answers = iter([old])

    def opener() -> dict[str, Bridge]:
        for bridge in answers:
            return {"memory": bridge}
        raise ConfigError("shop.yaml:3: nonsense")

    async def reload() -> None:
        live = LivePipelines(opener, metrics, grace_s=0)
        assert not await live.reload()
        await asyncio.sleep(0.01)
        assert live.bridge("memory") is old
        assert not old.closed

    asyncio.run(reload())
    assert "shop.yaml:3: nonsense" in caplog.text
    assert "rebridge_reload_failures_total 1.0" in metrics.exposition().decode()
