"""Pipelines from YAML files, one per index, with environment overrides and errors that name line and cure.

``configs/NAME.yaml`` configures the index NAME. An environment variable overrides one key:
``REBRIDGE_PIPELINE__DOCS__SCORER__MODEL=...`` sets ``scorer.model`` of the index ``docs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rebridge import connector as connectors
from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError, unknown
from rebridge.layered import FileAndEnvironment, explained, layered
from rebridge.yaml_source import Location, read_yaml

_SUFFIXES = (".yaml", ".yml")


class Settings(BaseSettings):
    """Settings of the whole program, from environment variables with the prefix ``REBRIDGE_``."""

    model_config = SettingsConfigDict(env_prefix="REBRIDGE_", extra="ignore")

    configs: Annotated[Path | None, Field(description="Folder of the pipeline files; default: ./configs.")] = None


class _FileAndEnvironment(FileAndEnvironment, PipelineConfig):
    """A pipeline as its file says, overridden by the environment."""

    model_config = FileAndEnvironment.model_config


def config_path(index: str, folder: Path | None = None) -> Path:
    """The file that configures an index: in the given folder, ``$REBRIDGE_CONFIGS`` or ``./configs``, then ours.

    Raises:
        ConfigError: if there is none; the message lists those that exist.
    """
    known = available(folder)
    if index in known:
        return known[index]
    raise ConfigError(f"{configs_folder(folder) / (index + '.yaml')} does not exist: {unknown('index', index, known)}")


def configs_folder(folder: Path | None = None) -> Path:
    """Where pipeline files are: in the given folder, ``$REBRIDGE_CONFIGS`` or ``./configs``."""
    return folder or Settings().configs or Path("configs")


def available(folder: Path | None = None) -> dict[str, Path]:
    """Every configured index and its file: those of the folder, and the demo's, which rebridge ships.

    Raises:
        ConfigError: if a folder is named that does not exist.
    """
    place = configs_folder(folder)
    if not place.is_dir() and place != Path("configs"):
        raise ConfigError(f"There is no folder {place} of pipeline files ({place.absolute()}).")
    files = sorted(place.iterdir()) if place.is_dir() else []
    return {"demo": _demo()} | {path.stem: path for path in files if path.suffix in _SUFFIXES and path.is_file()}


def _demo() -> Path:
    """The demo's pipeline: inside a wheel, in ``configs`` in a checkout."""
    installed = Path(__file__).parent / "_configs" / "demo.yaml"
    return installed if installed.is_file() else Path(__file__).parents[2] / "configs" / "demo.yaml"


def load_config(index: str, folder: Path | None = None) -> PipelineConfig:
    """Read and check the pipeline of an index.

    Raises:
        ConfigError: with one line per problem: file, line, key, what is wrong and the cure.
    """
    source = read_yaml(config_path(index, folder))
    prefix = env_prefix(index)
    schema, above = PipelineConfig.model_json_schema(), Location()
    try:
        config = layered(_FileAndEnvironment, PipelineConfig, source, prefix)
        if config.connector.name not in connectors.names():
            problem = unknown("connector", config.connector.name, connectors.names())
            raise ConfigError(f"{source.place(('connector', 'name'))}: connector.name: {problem}")
        schema, above = connectors.load(config.connector.name).settings.model_json_schema(), ("connector",)
        config.connector_settings(index)
    except ValidationError as error:
        raise explained(error, source, prefix, schema, above) from error
    return config


def env_prefix(index: str) -> str:
    """What the environment variables for an index begin with."""
    return f"REBRIDGE_PIPELINE__{re.sub(r'[^A-Za-z0-9]+', '_', index).upper()}__"
