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
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from rebridge import connector as connectors
from rebridge.errors import ConfigError, MissingExtra, unknown
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Annotate, OnError, Pipeline
from rebridge.scorers import DEFAULT_MODEL
from rebridge.yaml_source import Location, YamlSource, read_yaml, valid_keys

_SUFFIXES = (".yaml", ".yml")


class Settings(BaseSettings):
    """Settings of the whole program, from environment variables with the prefix ``REBRIDGE_``."""

    model_config = SettingsConfigDict(env_prefix="REBRIDGE_", extra="ignore")

    configs: Annotated[Path | None, Field(description="Folder of the pipeline files; default: ./configs.")] = None


class ConnectorSection(BaseModel):
    """Which engine holds the index; the other keys are the connector's own."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(description="Name of an installed connector.")] = "tantivy"


class ScorerSection(BaseModel):
    """Which model scores, and how; see `rebridge.open_scorer`."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(description="Hub id or local folder.")] = DEFAULT_MODEL
    recipe: Annotated[str | None, Field(description="How it is scored; default: by its name or configuration.")] = None
    device: Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps.")] = "auto"
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], Field(description="auto: exact on CPU.")] = (
        "auto"
    )
    token_budget: Annotated[int | None, Field(ge=1, description="Most tokens in a batch; default: by device.")] = None
    revision: Annotated[str | None, Field(description="Branch, tag or commit on the hub.")] = None
    local_files_only: Annotated[bool, Field(description="Never ask the hub.")] = False
    cache_dir: Annotated[Path | None, Field(description="Folder of downloaded models; default: the hub's own.")] = None
    token: Annotated[SecretStr | None, Field(description="Access token for private models.")] = None

    # What recipes take, under the names of the models' own packages. A recipe refuses what is not its own.
    max_length: Annotated[int | None, Field(ge=8, description="Most tokens the model reads; default: its own.")] = None
    query_max_length: Annotated[int | None, Field(ge=1, description="Most tokens of the query (bge-reranker).")] = None
    normalize: Annotated[bool | None, Field(description="Bring scores to 0...1; default: as its own package.")] = None
    instruction: Annotated[str | None, Field(description="What the model is told about the task.")] = None
    method: Annotated[str | None, Field(description="rerank or compute_score (bce-reranker).")] = None
    cutoff_layers: Annotated[
        int | list[int] | None, Field(description="Layer to read, or several (layerwise models).")
    ] = None
    estimated_max: Annotated[float | None, Field(description="Scale of normalize (mxbai-rerank-v2).")] = None
    template: Annotated[str | None, Field(description="Prompt with {query} and {passage} (causal models).")] = None
    positive: Annotated[str | None, Field(description="Token of a relevant passage (causal models).")] = None
    negative: Annotated[str | None, Field(description="Token of any other passage (causal models).")] = None
    query_length: Annotated[int | None, Field(ge=1, description="Tokens of the query (ColBERT).")] = None
    document_length: Annotated[int | None, Field(ge=1, description="Tokens of the passage (ColBERT).")] = None
    cache_size: Annotated[int | None, Field(ge=0, description="Bytes of passage embeddings to keep.")] = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `rebridge.open_scorer`, without the model: those that are set or have a default."""
        options = {name: getattr(self, name) for name in type(self).model_fields if name != "model"}
        options["token"] = self.token.get_secret_value() if self.token else None
        return {name: value for name, value in options.items() if value is not None}


class PipelineConfig(BaseModel):
    """How one index is searched and reranked."""

    model_config = ConfigDict(extra="forbid", title="rebridge pipeline")

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
    deadline_ms: Annotated[int | None, Field(ge=1, description="Time for one search; null for no limit.")] = 60_000
    min_rerank_score: Annotated[
        float | None, Field(allow_inf_nan=False, description="Remove hits with a lower raw model score.")
    ] = None
    annotate: Annotated[
        Annotate, Field(description="How much the reply says about what was done; a degraded one always says so.")
    ] = "summary"

    def connector_settings(self, index: str) -> Any:
        """The connector's own keys, validated by the connector; ``index`` is the index unless a key says otherwise.

        Raises:
            ConfigError: if the connector is unknown.
            ValidationError: if it refuses the keys.
        """
        extra = self.connector.model_extra or {}
        return connectors.load(self.connector.name).settings.model_validate({"index": index, **extra})

    def pipeline(self, index: str) -> Pipeline:
        """The values that `rebridge.flow` works with."""
        return Pipeline(
            index=index,
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
        raise ConfigError(f"There is no folder {place} of pipeline files.")
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


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a pipeline file, with the keys of every connector that is installed."""
    schema = PipelineConfig.model_json_schema()
    choices = []
    for name in connectors.names():
        try:
            settings = connectors.load(name).settings
        except MissingExtra:
            continue
        # Connectors may use the same names inside, so each gets its own.
        own = settings.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        schema["$defs"] |= {f"{name}.{key}": value for key, value in own.pop("$defs", {}).items()}
        own["properties"] = {"name": {"const": name}} | own["properties"]
        choices.append(own)
    if choices:
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
