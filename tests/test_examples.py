"""The pipeline files that come with rebridge."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rebridge.config_files import load_config
from rebridge.server.settings import ServerSettings, load_settings

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(path for folder in ("examples", "sample") for path in (CONFIGS / folder).glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_every_file_is_valid(file: Path) -> None:
    """Every example and sample file is a pipeline of the engine that it is named after."""
    config = load_config(file.stem, file.parent)
    assert config.connector.name == file.stem
    assert config.pipeline(file.stem).connector.name == file.stem


def test_there_is_one_for_each_engine() -> None:
    """Each server has an example to copy, and a pipeline for the sample of scripts/load-sample."""
    servers = {"elasticsearch", "opensearch", "solr"}
    for folder in ("examples", "sample"):
        assert {file.stem for file in FILES if file.parent.name == folder} == servers


def test_a_sample_engine_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment moves a sample pipeline to another address, as scripts/load-sample does."""
    monkeypatch.setenv("REBRIDGE_PIPELINE__OPENSEARCH__CONNECTOR__HOSTS", "http://localhost:19201")
    settings = load_config("opensearch", CONFIGS / "sample").connector_settings("opensearch")
    assert settings.hosts == ["http://localhost:19201"]


def test_the_servers_settings() -> None:
    """The server's example has every key, and is valid; what it does not mark as an example is the default."""
    settings = load_settings(CONFIGS / "examples" / "server" / "server.yaml")
    text = (CONFIGS / "examples" / "server" / "server.yaml").read_text(encoding="utf-8")
    keys = set(yaml.safe_load(text))
    assert keys == set(ServerSettings.model_fields)
    examples = {"proxies", "models"}
    default = ServerSettings()
    assert all(getattr(settings, key) == getattr(default, key) for key in keys - examples)
