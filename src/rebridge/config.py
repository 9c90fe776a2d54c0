"""What a pipeline file may say: its sections as checked values, and their JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from rebridge import connector as connectors
from rebridge.connector import Connector
from rebridge.errors import MissingExtra
from rebridge.fusion import Fusion
from rebridge.models import Doubt
from rebridge.overrides import Allowed
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Annotate, Fallback, OnError, Pipeline
from rebridge.query_path import QueryPath
from rebridge.scorer_section import ScorerSection

__all__ = ["ConnectorSection", "OverridesSection", "PipelineConfig", "ScorerSection", "json_schema"]


class ConnectorSection(BaseModel):
    """Which engine holds the index; the other keys are the connector's own."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(description="Name of an installed connector.")] = "tantivy"


class OverridesSection(BaseModel):
    """What single requests may ask a server to do otherwise (see docs/server.md)."""

    model_config = ConfigDict(extra="forbid")

    rank_window: Annotated[bool, Field(description="X-Rerank-Window: a smaller rank window.")] = False
    skip: Annotated[bool, Field(description="X-Rerank: off.")] = False
    deadline: Annotated[bool, Field(description="X-Rerank-Deadline-Ms: a shorter deadline.")] = True
    models: Annotated[
        dict[str, ScorerSection], Field(description="X-Rerank-Model: names of other models that requests may choose.")
    ] = {}

    def allowed(self) -> Allowed:
        """The same as a value."""
        return Allowed(self.rank_window, self.skip, self.deadline, frozenset(self.models))


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
    fallbacks: Annotated[
        list[ScorerSection],
        Field(description="Scorers that are asked in order when the one before failed and there is time left."),
    ] = []
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
    overrides: OverridesSection = OverridesSection()

    @field_validator("scorer")
    @classmethod
    def _cuts_windows(cls, scorer: ScorerSection, info: ValidationInfo) -> ScorerSection:
        """Windows are cut by the model's own tokens, which other servers than ours cannot be told to do."""
        passage = info.data.get("passage")
        if passage is not None and passage.windows is not None and not scorer.cuts:
            raise ValueError(
                f"dialect {scorer.dialect} cannot cut passages into windows: remove passage.windows (the peer then "
                "reads as much of each passage as its model does), or use a peer that speaks dialect rebridge"
            )
        return scorer

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
            model=self.scorer.name,
            fallbacks=tuple(Fallback(section.name, section.cuts) for section in self.fallbacks),
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
