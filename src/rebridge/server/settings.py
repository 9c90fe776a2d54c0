"""What the file of `rebridge serve --config FILE` may say, overridden by ``REBRIDGE_SERVER__...`` and by flags.

This module needs none of the packages of the extra ``server``.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr, ValidationError, model_validator

from rebridge.config import ScorerSection
from rebridge.layered import FileAndEnvironment, explained, layered
from rebridge.yaml_source import YamlSource, read_yaml

#: What the environment variables of the server begin with.
PREFIX = "REBRIDGE_SERVER__"

EngineName = Literal["elasticsearch", "opensearch", "solr"]


def address(listen: str) -> tuple[str, int]:
    """The host (an IPv6 address without brackets) and the port of ``HOST:PORT``.

    Raises:
        ValueError: if the text is no such address.
    """
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.netloc != listen or parts.username is not None:
        raise ValueError(f"{listen!r} is no HOST:PORT, like 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
    return host, port


def is_local(listen: str) -> bool:
    """Whether only this machine can reach the address; any name but localhost counts as others'."""
    host, _ = address(listen)
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(value: str) -> str:
    address(value)
    return value


def _engine_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be the engine's address, like http://localhost:9200")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user and password: the clients' own Authorization header reaches the engine")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path: no ? and no #")
    return value.rstrip("/")


def _api_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise ValueError("must be one or more visible ASCII characters without spaces: it travels in a header")
    return value


Listen = Annotated[str, AfterValidator(_listen)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProxySettings(_Section):
    """One engine, under a port of its own: clients change the port and nothing else."""

    engine: EngineName
    url: Annotated[str, AfterValidator(_engine_url), Field(description="Where the engine is.")]
    listen: Annotated[Listen, Field(description="HOST:PORT for the engine's clients.")]
    ca_certs: Annotated[FilePath | None, Field(description="Certificates (PEM) that the engine's is checked by.")] = (
        None
    )
    verify: Annotated[bool, Field(description="Check the engine's certificate.")] = True
    timeout_s: Annotated[float, Field(gt=0, description="Longest silence of the engine, seconds.")] = 60.0
    connections: Annotated[int, Field(ge=1, description="Most connections to the engine, of one worker.")] = 100


class ModelSettings(ScorerSection):
    """A model of the rerank API: the keys of a pipeline's ``scorer``, and these."""

    also: Annotated[tuple[str, ...], Field(description="Other names of the model in requests.")] = ()
    preload: Annotated[bool, Field(description="Load it at start, not when it is first asked for.")] = True


class TlsSettings(_Section):
    """The server's own certificate; all ports speak TLS then."""

    certificate: Annotated[FilePath, Field(description="Certificate chain, PEM.")]
    key: Annotated[FilePath, Field(description="Private key, PEM, without a passphrase.")]


class LimitSettings(_Section):
    """What one client may ask for, and how long the end may take."""

    body_mb: Annotated[float, Field(gt=0, description="Largest body of the API and of a search, MiB.")] = 32.0
    documents: Annotated[int, Field(ge=1, description="Most documents of a rerank request.")] = 1000
    queue: Annotated[int, Field(ge=1, description="Most requests that wait for scores.")] = 64
    drain_s: Annotated[int, Field(ge=0, description="Time for running requests after SIGTERM, seconds.")] = 30
    drain_delay_s: Annotated[
        float, Field(ge=0, description="How long /readyz says 503 and requests are still taken before that, seconds.")
    ] = 0.0


class LogSettings(_Section):
    """What the server writes to standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class ServerSettings(BaseModel):
    """How `rebridge serve` serves. The pipelines stand in files of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="rebridge server")

    listen: Annotated[Listen, Field(description="HOST:PORT of the rerank API.")] = "127.0.0.1:8080"
    proxies: Annotated[list[ProxySettings], Field(description="Engines to stand in front of.")] = []
    models: Annotated[dict[str, ModelSettings], Field(description="Models of the rerank API, besides pipelines'.")] = {}
    default_model: Annotated[str | None, Field(description="For requests that name none; default: the first.")] = None
    memory_budget_mb: Annotated[
        int | None, Field(ge=1, description="Above it, models that were not used for longest are unloaded, MiB.")
    ] = None
    workers: Annotated[int, Field(ge=1, le=64, description="Front processes; they share the models.")] = 1
    api_keys: Annotated[list[ApiKey], Field(description="Guard the API: Authorization: Bearer, or X-API-Key.")] = []
    tls: TlsSettings | None = None
    playground: Annotated[
        bool | None, Field(description="The page at /. null: where api_keys guard it, or only this machine can ask.")
    ] = None
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()

    @property
    def has_playground(self) -> bool:
        """Whether the page at / is served: it reads indices with the rights of the pipelines' own settings."""
        return bool(self.api_keys) or is_local(self.listen) if self.playground is None else self.playground

    @model_validator(mode="after")
    def _one_face_a_port(self) -> ServerSettings:
        taken: dict[int, str] = {}
        for listen in (self.listen, *(proxy.listen for proxy in self.proxies)):
            port = address(listen)[1]
            if port and port in taken:
                raise ValueError(f"{taken[port]} and {listen} have the same port: the port tells the faces apart")
            taken[port] = listen
        return self


class _FileAndEnvironment(FileAndEnvironment, ServerSettings):
    """The server's settings as its file says, overridden by the environment."""

    model_config = FileAndEnvironment.model_config


def load_settings(path: Path | None = None) -> ServerSettings:
    """Read and check the server's settings; without a file, the defaults and the environment.

    Raises:
        ConfigError: with one line per problem: file, line, key, what is wrong and the cure.
    """
    source = YamlSource(Path("settings of the server"), {}, {}) if path is None else read_yaml(path)
    try:
        return layered(_FileAndEnvironment, ServerSettings, source, PREFIX)
    except ValidationError as error:
        raise explained(error, source, PREFIX, ServerSettings.model_json_schema()) from error


def changed(settings: ServerSettings, **values: Any) -> ServerSettings:
    """The settings with some values of flags instead; None leaves a value as it is.

    Raises:
        ValidationError: if the result is wrong.
    """
    given = {name: value for name, value in values.items() if value is not None}
    return ServerSettings.model_validate(
        {name: getattr(settings, name) for name in ServerSettings.model_fields} | given
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the server's file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ServerSettings.model_json_schema()
