"""Pipelines from YAML files, one per index, with environment overrides and errors that name line and cure.

``configs/NAME.yaml`` configures the index NAME. An environment variable overrides one key:
``REBRIDGE_PIPELINE__DOCS__SCORER__MODEL=...`` sets ``scorer.model`` of the index ``docs``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rebridge import connector as connectors
from rebridge.errors import ConfigError, MissingExtra
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Annotate, OnError, Pipeline
from rebridge.yaml_source import Location, YamlSource, read_yaml, unknown_key, valid_keys

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_SUFFIXES = (".yaml", ".yml")


class Settings(BaseSettings):
    """Settings of the whole program, from environment variables with the prefix ``REBRIDGE_``."""

    model_config = SettingsConfigDict(env_prefix="REBRIDGE_", extra="ignore")

    configs: Annotated[Path, Field(description="Folder of the pipeline files.")] = Path("configs")


class ConnectorSection(BaseModel):
    """Which engine holds the index; the other keys are the connector's own."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(description="Name of an installed connector.")] = "tantivy"


class ScorerSection(BaseModel):
    """Which model scores, and how; see `rebridge.open_scorer`."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(description="Hub id or local folder.")] = DEFAULT_MODEL
    device: Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps.")] = "auto"
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], Field(description="auto: exact on CPU.")] = (
        "auto"
    )
    max_length: Annotated[int | None, Field(ge=8, description="Most tokens the model reads; default: its own.")] = None
    revision: Annotated[str | None, Field(description="Branch, tag or commit on the hub.")] = None
    local_files_only: Annotated[bool, Field(description="Never ask the hub.")] = False
    cache_dir: Annotated[Path | None, Field(description="Folder of downloaded models; default: the hub's own.")] = None
    token: Annotated[SecretStr | None, Field(description="Access token for private models.")] = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `rebridge.open_scorer`, without the model."""
        options = {name: getattr(self, name) for name in type(self).model_fields if name != "model"}
        return options | {"token": self.token.get_secret_value() if self.token else None}


class PipelineConfig(BaseSettings):
    """How one index is searched and reranked."""

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__", title="rebridge pipeline")

    connector: ConnectorSection = ConnectorSection()
    query_fields: Annotated[
        dict[str, Annotated[float, Field(gt=0)]],
        Field(min_length=1, description="Fields that plain words are searched in, with weights."),
    ] = {"title": 1.0, "text": 1.0}
    passage: PassageTemplate = PassageTemplate()
    scorer: ScorerSection = ScorerSection()
    rank_window: Annotated[int, Field(ge=1, le=10_000, description="How many hits the model rescores.")] = 100
    fusion: Fusion = Fusion()
    on_error: Annotated[OnError, Field(description="degrade: answer in first-stage order and say so.")] = "degrade"
    deadline_ms: Annotated[int | None, Field(ge=1, description="Time for one search; null for no limit.")] = 10_000
    min_rerank_score: Annotated[float | None, Field(description="Remove hits with a lower raw model score.")] = None
    annotate: Annotated[Annotate, Field(description="How much the reply says about what was done.")] = "none"

    @classmethod
    def settings_customise_sources(  # noqa: D102 - documented by pydantic-settings
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment overrides the file

    def connector_settings(self, index: str) -> Any:
        """The connector's own keys, validated by the connector; ``index`` is the index unless a key says otherwise.

        Raises:
            ConfigError: if the connector is unknown.
            ValidationError: if it refuses the keys.
        """
        extra = self.connector.model_extra or {}
        return connectors.load(self.connector.name).settings.model_validate({"index": index, **extra})

    def pipeline(self) -> Pipeline:
        """The values that `rebridge.flow` works with."""
        return Pipeline(
            connector=connectors.load(self.connector.name),
            passage=self.passage,
            fusion=self.fusion,
            rank_window=self.rank_window,
            model=self.scorer.model,
            on_error=self.on_error,
            deadline_s=None if self.deadline_ms is None else self.deadline_ms / 1000,
            min_rerank_score=self.min_rerank_score,
            annotate=self.annotate,
        )


def config_path(index: str, folder: Path | None = None) -> Path:
    """The file that configures an index: in the given folder, ``$REBRIDGE_CONFIGS`` or ``./configs``, then ours.

    Raises:
        ConfigError: if there is none; the message lists those that exist.
    """
    known = available(folder)
    if index in known:
        return known[index]
    near = unknown_key(index, list(known)).removeprefix("unknown key.").replace("Valid keys", "Configured indices")
    place = folder or Settings().configs
    raise ConfigError(f"No pipeline for the index {index!r}: {place / (index + '.yaml')} does not exist.{near}")


def available(folder: Path | None = None) -> dict[str, Path]:
    """Every configured index and its file; files in the user's folder win over those that rebridge ships."""
    folders = [_shipped(), folder or Settings().configs]
    files = [path for place in folders if place.is_dir() for path in sorted(place.iterdir())]
    return {path.stem: path for path in files if path.suffix in _SUFFIXES and path.is_file()}


def _shipped() -> Path:
    """The pipelines that come with rebridge: inside a wheel, beside ``src`` in a checkout."""
    installed = Path(__file__).parent / "_configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def load_config(index: str, folder: Path | None = None) -> PipelineConfig:
    """Read and check the pipeline of an index.

    Raises:
        ConfigError: with one line per problem: file, line, key, what is wrong and the cure.
    """
    source = read_yaml(config_path(index, folder))
    prefix = env_prefix(index)
    _check_environment(prefix)
    try:
        # BaseSettings takes the prefix, but its signature as type checkers see it does not say so.
        config = PipelineConfig(_env_prefix=prefix, **_text_keys(source))  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigError(_explain(error, source, prefix, PipelineConfig.model_json_schema())) from error
    try:
        config.connector_settings(index)
    except ValidationError as error:
        schema = connectors.load(config.connector.name).settings.model_json_schema()
        raise ConfigError(_explain(error, source, prefix, schema, ("connector",))) from error
    return config


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a pipeline file, with the keys of every connector that is installed."""
    schema = PipelineConfig.model_json_schema()
    choices = []
    for name in connectors.names():
        try:
            own = connectors.load(name).settings.model_json_schema()
        except MissingExtra:
            continue
        schema["$defs"] |= own.pop("$defs", {})
        own["properties"] = {"name": {"const": name}} | own["properties"]
        choices.append(own)
    schema["$defs"]["ConnectorSection"] = {"description": ConnectorSection.__doc__, "anyOf": choices}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


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
            raise ConfigError(f"environment variable {name}: {unknown_key(key, known)}")


def _explain(
    error: ValidationError, source: YamlSource, prefix: str, schema: Mapping[str, Any], above: Location = ()
) -> str:
    lines = []
    for problem in error.errors():
        location: Location = (*above, *problem["loc"])
        variable = prefix + "__".join(str(part).upper() for part in location)
        place = f"environment variable {variable}" if variable in os.environ else source.place(location)
        if problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = unknown_key(str(location[-1]), valid_keys(schema, problem["loc"][:-1]))
        else:
            what = problem["msg"].removeprefix("Value error, ")
            what += "." if isinstance(problem["input"], dict) else f", not {problem['input']!r}."
        lines.append((source.line(location), f"{place}: {'.'.join(map(str, location))}: {what}"))
    return "\n".join(text for _, text in sorted(lines))
