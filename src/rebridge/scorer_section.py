"""The `scorer:` section of a pipeline: which model scores, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rebridge.remote import Seconds, address_parts
from rebridge.scorers.hub import DEFAULT_MODEL

Dialect = Literal["rebridge", "cohere", "jina", "tei", "vllm", "infinity"]


class ScorerSection(BaseModel):
    """Which model scores, and how; see `rebridge.open_scorer` and `rebridge.scorers.remote.RemoteScorer`."""

    model_config = ConfigDict(extra="forbid")

    # First, so that the other keys can be checked against it.
    kind: Annotated[Literal["local", "remote"], Field(description="local: in this process; remote: over HTTP.")] = (
        "local"
    )
    model: Annotated[
        str, Field(description="Hub id or local folder; of a remote scorer, its name there (default: the peer's own).")
    ] = DEFAULT_MODEL

    url: Annotated[str | None, Field(description="Address of a remote scorer.")] = None
    dialect: Annotated[Dialect, Field(description="The API that a remote scorer speaks.")] = "rebridge"
    api_key: Annotated[
        SecretStr | None, Field(description="Better in REBRIDGE_PIPELINE__NAME__SCORER__API_KEY than in a file.")
    ] = None
    batch_size: Annotated[int | None, Field(ge=1, description="Most passages in a request; default: by dialect.")] = (
        None
    )
    connections: Annotated[int, Field(ge=1, le=1000, description="Most requests to a remote scorer at a time.")] = 4
    timeout_s: Seconds = 30.0
    ca_certs: Annotated[
        FilePath | None, Field(description="File with the certificates of the authority that signed the peer's.")
    ] = None

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

    @model_validator(mode="before")
    @classmethod
    def _named_by_the_peer(cls, data: Any) -> Any:
        """The default model is that of a local scorer."""
        return {"model": "", **data} if isinstance(data, dict) and data.get("kind") == "remote" else data

    @field_validator("*")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        """A key that has no effect would be a mistake that nobody notices."""
        name, kind = str(info.field_name), info.data.get("kind")
        own = set(ScorerSection.model_fields) - {"kind", "model"}  # a subclass may have more, for both kinds
        foreign = name in own and (name in _REMOTE) != (kind == "remote")
        if kind is not None and foreign and value != cls.model_fields[name].default:
            cure = "set kind: remote, or remove it" if kind == "local" else "its peer decides on that; remove it"
            raise ValueError(f"a scorer of kind {kind} has no {name}: {cure}")
        return value

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url is not None:
            address_parts(url, "http://gpu.example:8080")
        return url

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.kind == "remote" and self.url is None:
            raise ValueError("a scorer of kind remote needs its url")
        return self

    @property
    def cuts(self) -> bool:
        """Whether the scorer cuts long passages into windows as it is told."""
        return self.kind == "local" or self.dialect == "rebridge"

    @property
    def name(self) -> str:
        """What the scorer is called until it is open."""
        return self.model or self.dialect

    def options(self) -> dict[str, Any]:
        """Keyword arguments, without the model: those that are set or have a default.

        They are for `rebridge.open_scorer`, or for `rebridge.scorers.remote.RemoteScorer`.
        """
        own = (name for name in type(self).model_fields if (name in _REMOTE) == (self.kind == "remote"))
        options = {name: getattr(self, name) for name in own if name not in {"kind", "model"}}
        shown = ((name, _plain(value)) for name, value in options.items())
        return {name: value for name, value in shown if value is not None}


#: The keys of a section that are a remote scorer's alone.
_REMOTE = frozenset({"url", "dialect", "api_key", "batch_size", "connections", "timeout_s", "ca_certs"})


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
