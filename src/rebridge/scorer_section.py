"""The `scorer:` section of a pipeline: which model scores, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rebridge.remote import Seconds, address_parts
from rebridge.scorers.embeddings import Precision
from rebridge.scorers.hub import DEFAULT_MODEL

Dialect = Literal["rebridge", "cohere", "jina", "tei", "vllm", "infinity"]


_REDIS_PORT = 6379


def _redis_url(url: SecretStr) -> SecretStr:
    cure = "must be an address like redis://localhost:6379/0, rediss://... or unix:///path"
    try:
        parts = urlsplit(url.get_secret_value())
        place = {"redis": parts.hostname, "rediss": parts.hostname, "unix": parts.path}.get(parts.scheme)
        usable = place and parts.port != 0  # raises ValueError for a port that none can have
    except ValueError:
        raise ValueError(cure) from None
    if not usable:
        raise ValueError(cure)
    if "decode_responses" in parse_qs(parts.query, keep_blank_values=True):
        raise ValueError("scores are no text: remove decode_responses from the address")
    return url


class ScoreCacheSection(BaseModel):
    """How long scores are kept, how many, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int, Field(ge=1, description="Most scores that a process keeps: passages read for a query.")] = (
        100_000
    )
    ttl_s: Annotated[float, Field(ge=1, le=10 * 365 * 86_400, description="Seconds until a score is forgotten.")] = (
        86_400.0
    )
    redis: Annotated[
        SecretStr | None,
        AfterValidator(lambda url: None if url is None else _redis_url(url)),
        Field(description="Address of a Redis in which processes share scores: redis://localhost:6379/0."),
    ] = None

    @property
    def redis_place(self) -> str | None:
        """Where the Redis is, without what may be secret; None if there is none."""
        if self.redis is None:
            return None
        parts = urlsplit(self.redis.get_secret_value())
        return f"{parts.hostname}:{parts.port or _REDIS_PORT}" if parts.scheme != "unix" else parts.path


def _automatic(value: Any) -> Any:
    """The word for what a missing value means."""
    return None if value == "auto" else value


def _switched(value: Any) -> Any:
    """True and false say whether there is a cache."""
    return ({} if value else None) if isinstance(value, bool) else value


ScoreCache = Annotated[
    ScoreCacheSection | None, BeforeValidator(_switched, json_schema_input_type=ScoreCacheSection | bool | None)
]


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

    score_cache: Annotated[
        ScoreCache, Field(description="Keep scores for queries that come again: true, or how. Default: false.")
    ] = None

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
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "int8"],
        Field(description="auto: exact on CPU; bfloat16 for GPUs and new CPUs; int8 on a CPU."),
    ] = "auto"
    backend: Annotated[
        Literal["auto", "transformers"], Field(description="What computes the layers; auto: the faster one.")
    ] = "auto"
    token_budget: Annotated[
        int | None,
        Field(ge=1, description="Most tokens in a batch; auto, the default: by device, measured on a CPU."),
        BeforeValidator(_automatic, json_schema_input_type=Annotated[int, Field(ge=1)] | Literal["auto"] | None),
    ] = None
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
    cache_size: Annotated[
        int | None, Field(ge=0, description="Bytes of passage embeddings to keep in memory (ColBERT, bi-encoders).")
    ] = None
    store: Annotated[
        bool | Path | None,
        Field(
            description="Keep passage embeddings on disk too: true for the user's cache folder, or another folder; a "
            "relative one starts at the current directory."
        ),
    ] = None
    store_size: Annotated[
        ByteSize | None, Field(ge=2**20, description="Bound of that file, as 5GB or in bytes; default: 10GB.")
    ] = None
    store_dtype: Annotated[Precision | None, Field(description="Precision of what is kept; default: float16.")] = None

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
        own = set(ScorerSection.model_fields) - _COMMON  # a subclass may have more, for both kinds
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
    def _stores_somewhere(self) -> Self:
        useless = [name for name in ("store_size", "store_dtype") if getattr(self, name) is not None]
        if useless and not self.store:
            raise ValueError(f"{useless[0]} has no effect without store: add store: true, or a folder")
        return self

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

    @property
    def shares_scores(self) -> bool:
        """Whether other processes find its scores."""
        return self.score_cache is not None and self.score_cache.redis is not None

    def uncached(self) -> Self:
        """The same scorer, whose scores are not kept."""
        return self.model_copy(update={"score_cache": None})

    def options(self) -> dict[str, Any]:
        """Keyword arguments of what scores, without the model: those that are set or have a default.

        They are for `rebridge.open_scorer`, or for `rebridge.scorers.remote.RemoteScorer`.
        """
        own = (name for name in type(self).model_fields if (name in _REMOTE) == (self.kind == "remote"))
        options = {name: getattr(self, name) for name in own if name not in _COMMON}
        shown = ((name, _plain(value)) for name, value in options.items())
        return {name: value for name, value in shown if value is not None}


#: The keys of a section that are no options of what scores.
_COMMON = frozenset({"kind", "model", "score_cache"})
#: The keys of a section that are a remote scorer's alone.
_REMOTE = frozenset({"url", "dialect", "api_key", "batch_size", "connections", "timeout_s", "ca_certs"})


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
