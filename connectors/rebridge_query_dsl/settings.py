"""What Elasticsearch and OpenSearch can be told in a pipeline's ``connector:`` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, SecretStr

FieldType = Literal["text", "keyword", "integer", "float", "boolean", "date"]

#: Ports that both clients take where an address names none.
_PORTS = {"http": 9200, "https": 443}


def _address(text: str) -> str:
    """An address with scheme, host and port, and no user in it."""
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an address has scheme and host, like https://localhost:9200")
    if parts.username or parts.password:
        raise ValueError("an address must not hold user and password, which would be shown; they have their own keys")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"


def _one_or_more(given: object) -> object:
    return [given] if isinstance(given, str) else given


Hosts = Annotated[
    list[Annotated[str, AfterValidator(_address)]],
    BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
]


class ClusterSettings(BaseModel):
    """Where an index is, how to get in, and how a new one is made. `timeout_s` counts in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: Annotated[
        Hosts,
        Field(
            min_length=1, description="Addresses of nodes of one cluster. Without a port: 9200 for http, 443 for https."
        ),
    ] = ["http://localhost:9200"]
    index: Annotated[
        str, Field(min_length=1, description="Index, alias or pattern. Default: the name of the pipeline's file.")
    ] = "default"
    user: Annotated[str | None, Field(description="User name.")] = None
    password: Annotated[
        SecretStr | None, Field(description="Better in REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD than in a file.")
    ] = None
    ca_certs: Annotated[
        FilePath | None, Field(description="File with the certificates of the authority that signed the engine's.")
    ] = None
    verify_certs: Annotated[bool, Field(description="false trusts any certificate: for trying things out only.")] = True
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Seconds that a request may take.")] = 30.0

    fields: Annotated[
        dict[str, FieldType | dict[str, Any]] | None,
        Field(
            min_length=1,
            description="Fields of a new index: name -> type, or the engine's own mapping of that field. Others are "
            "kept in documents and returned, but not searched.",
        ),
    ] = None
    analyzer: Annotated[
        str | None, Field(description="Analyzer of text fields: standard (default), english, or any the engine has.")
    ] = None
    shards: Annotated[int | None, Field(ge=1, description="Of a new index. Default: the engine's.")] = None
    replicas: Annotated[int | None, Field(ge=0, description="Of a new index. Default: the engine's.")] = None
