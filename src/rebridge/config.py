"""What a pipeline file may say: its sections as checked values, and their JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from rebridge import connector as connectors
from rebridge.connector import Connector
from rebridge.errors import MissingExtra
from rebridge.fusion import Fusion
from rebridge.models import Doubt
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Annotate, OnError, Pipeline
from rebridge.query_path import QueryPath
from rebridge.scorers import DEFAULT_MODEL


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
    also: Annotated[
        list[str],
        Field(description="Other names of the index in requests: aliases, data streams, patterns with * and ?."),
    ] = []
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
    query_path: Annotated[
        str | None,
        Field(description="JSONPath to the words for the model, instead of those that are found in the query."),
    ] = None
    rerank_also: Annotated[
        frozenset[Doubt],
        Field(description="Rerank these too: sorted by score with a tie-breaker; only exact values; only filters."),
    ] = frozenset()
    annotate: Annotated[
        Annotate, Field(description="How much the reply says about what was done; a degraded one always says so.")
    ] = "summary"

    @field_validator("query_path")
    @classmethod
    def _checked_path(cls, path: str | None) -> str | None:
        if path is not None:
            QueryPath(path)
        return path

    def connector_settings(self, index: str) -> Any:
        """The connector's own keys, validated by the connector; ``index`` is the index unless a key says otherwise.

        Raises:
            ConfigError: if the connector is unknown.
            ValidationError: if it refuses the keys.
        """
        extra = self.connector.model_extra or {}
        return connectors.load(self.connector.name).settings.model_validate({"index": index, **extra})

    def pipeline(self, index: str, connector: Connector[Any, Any] | None = None) -> Pipeline:
        """The values that `rebridge.flow` works with, with another connector than the section's if one is given."""
        return Pipeline(
            index=index,
            connector=connector or connectors.load(self.connector.name),
            passage=self.passage,
            fusion=self.fusion,
            rank_window=self.rank_window,
            model=self.scorer.model,
            on_error=self.on_error,
            deadline_s=None if self.deadline_ms is None else self.deadline_ms / 1000,
            min_rerank_score=self.min_rerank_score,
            query_path=None if self.query_path is None else QueryPath(self.query_path),
            rerank_also=self.rerank_also,
            annotate=self.annotate,
        )


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
