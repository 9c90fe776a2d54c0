"""What Elasticsearch and OpenSearch can be told in a pipeline's ``connector:`` section."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from rebridge.remote import FieldType, RemoteSettings, address_parts

#: Ports that both clients take where an address names none.
_PORTS = {"http": 9200, "https": 443}


def _address(text: str) -> str:
    """An address with its port."""
    parts = address_parts(text, "https://localhost:9200")
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"


def _one_or_more(given: object) -> object:
    return [given] if isinstance(given, str) else given


Hosts = Annotated[
    list[Annotated[str, AfterValidator(_address)]],
    BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
]


class ClusterSettings(RemoteSettings):
    """Where an index is, how to get in, and how a new one is made. `timeout_s` counts in seconds."""

    hosts: Annotated[
        Hosts,
        Field(
            min_length=1, description="Addresses of nodes of one cluster. Without a port: 9200 for http, 443 for https."
        ),
    ] = ["http://localhost:9200"]  # noqa: RUF012 - pydantic copies defaults
    index: Annotated[
        str, Field(min_length=1, description="Index, alias or pattern. Default: the name of the pipeline's file.")
    ] = "default"

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
