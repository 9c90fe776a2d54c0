"""Pipelines from YAML files, one per index, with environment overrides and errors that name line and cure.

``configs/NAME.yaml`` configures the index NAME. An environment variable overrides one key:
``REBRIDGE_PIPELINE__DOCS__SCORER__MODEL=...`` sets ``scorer.model`` of the index ``docs``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from rebridge import connector as connectors
from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError, unknown
from rebridge.yaml_source import Location, YamlSource, read_yaml, valid_keys

_SUFFIXES = (".yaml", ".yml")


class Settings(BaseSettings):
    """Settings of the whole program, from environment variables with the prefix ``REBRIDGE_``."""

    model_config = SettingsConfigDict(env_prefix="REBRIDGE_", extra="ignore")

    configs: Annotated[Path | None, Field(description="Folder of the pipeline files; default: ./configs.")] = None


class _FileAndEnvironment(BaseSettings, PipelineConfig):
    """A pipeline as its file says, overridden by the environment."""

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__", env_parse_none_str="null")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment overrides the file


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
    _check_environment(prefix)
    schema, above = PipelineConfig.model_json_schema(), Location()
    try:
        # BaseSettings takes the prefix, but its signature as type checkers see it does not say so.
        loaded = _FileAndEnvironment(_env_prefix=prefix, **_text_keys(source))  # type: ignore[call-arg]
        config = PipelineConfig.model_construct(**{name: getattr(loaded, name) for name in PipelineConfig.model_fields})
        if config.connector.name not in connectors.names():
            problem = unknown("connector", config.connector.name, connectors.names())
            raise ConfigError(f"{source.place(('connector', 'name'))}: connector.name: {problem}")
        schema, above = connectors.load(config.connector.name).settings.model_json_schema(), ("connector",)
        config.connector_settings(index)
    except ValidationError as error:
        raise ConfigError(_explain(error, source, prefix, schema, above)) from error
    except SettingsError as error:
        raise ConfigError(f"environment variables {prefix}...: {error}") from error
    return config


def env_prefix(index: str) -> str:
    """What the environment variables for an index begin with."""
    return f"REBRIDGE_PIPELINE__{re.sub(r'[^A-Za-z0-9]+', '_', index).upper()}__"


def _text_keys(source: YamlSource) -> Mapping[str, Any]:
    odd = [key for key in source.data if not isinstance(key, str)]
    if odd:
        raise ConfigError(f"{source.path}: the key {odd[0]!r} must be text")
    return source.data


def _check_environment(prefix: str) -> None:
    """A misspelt variable must not be ignored in silence."""
    known = list(PipelineConfig.model_fields)
    for name in os.environ:
        key = name[len(prefix) :].split("__")[0].lower()
        if name.upper().startswith(prefix) and key not in known:
            raise ConfigError(f"environment variable {name}: {unknown('key', key, known)}")


def _explain(
    error: ValidationError, source: YamlSource, prefix: str, schema: Mapping[str, Any], above: Location = ()
) -> str:
    lines = []
    for problem in error.errors():
        location: Location = (*above, *problem["loc"])
        variable = prefix + "__".join(str(part).upper() for part in location)
        place = f"environment variable {variable}" if variable in os.environ else source.place(location)
        if problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = unknown("key", str(location[-1]), valid_keys(schema, problem["loc"][:-1]))
        else:
            what = problem["msg"].removeprefix("Value error, ") + _shown(problem["input"]) + "."
        lines.append((source.line(location), f"{place}: {'.'.join(map(str, location))}: {what}"))
    return "\n".join(text for _, text in sorted(lines))


def _shown(value: Any) -> str:
    """The value that was given, if it is short and so can be recognised; never a text that may be a secret."""
    return f", not {value!r}" if isinstance(value, int | float) or (isinstance(value, str) and value.isalnum()) else ""
