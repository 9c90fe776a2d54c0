"""Which pipelines a bridge has: those of a folder, of a mapping, or one for every index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rebridge.config import PipelineConfig
from rebridge.config_files import available, configs_folder, load_config
from rebridge.errors import ConfigError

Config = PipelineConfig | Mapping[str, PipelineConfig] | str | Path | None

#: The pattern of a pipeline for every index.
EVERY = "*"


def _checked(given: Mapping[Any, Any]) -> dict[str, PipelineConfig]:
    """The pipelines of a mapping, if they are pipelines."""
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, PipelineConfig):
            raise ConfigError(
                f"wrap() was given {type(value).__name__} for {key!r}: give an index's name and its pipeline, as in "
                "{'shop': PipelineConfig(rank_window=10)}, or PipelineConfig.model_validate({...}) for a dictionary."
            )
    return dict(given)


def _read(engine: str, given: Any) -> dict[str, PipelineConfig]:
    """The pipelines for this engine in a folder."""
    if given is not None and not isinstance(given, str | Path):
        raise ConfigError(
            f"wrap() was given {type(given).__name__} as its config: give a folder of pipeline files, a "
            "PipelineConfig, or a dictionary of index -> PipelineConfig."
        )
    folder = None if given is None else Path(given)
    if folder and folder.is_file():
        raise ConfigError(
            f"{folder} is a file, not a folder of pipeline files: give wrap() the folder {folder.parent}."
        )
    loaded = {key: load_config(key, folder) for key in available(folder)}
    configs = {key: value for key, value in loaded.items() if value.connector.name == engine}
    place = configs_folder(folder)
    if not configs and not place.is_dir():
        raise ConfigError(
            f"There is no folder {place.absolute()} of pipeline files: make it, set REBRIDGE_CONFIGS, or give wrap() "
            "another folder or a PipelineConfig."
        )
    if not configs:
        raise ConfigError(
            f"No file in {place} is a pipeline for {engine}: write configs/INDEX.yaml with "
            f"connector: {{name: {engine}}}, or give wrap() a config."
        )
    return configs


def pipelines_for(engine: str, config: Config) -> tuple[dict[str, str], dict[str, PipelineConfig]]:
    """The names and patterns of an engine's pipelines -> their keys, and the pipelines by key.

    Raises:
        ConfigError: if a pipeline is wrong, there is none, or two are for the same name.
    """
    if isinstance(config, PipelineConfig):
        return {EVERY: EVERY}, {EVERY: config}
    configs = _checked(config) if isinstance(config, Mapping) else _read(engine, config)
    names: dict[str, str] = {}
    for key, value in configs.items():
        # A file's stem need not be the engine's name of the index.
        own = value.connector_settings(key).index if not isinstance(config, Mapping) else key
        for name in dict.fromkeys((key, own, *value.also)):
            if names.setdefault(name, key) != key:
                raise ConfigError(f"The pipelines {names[name]!r} and {key!r} are both for {name!r}: remove one.")
    return names, configs
