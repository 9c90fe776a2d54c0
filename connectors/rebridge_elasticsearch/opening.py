"""Connecting to Elasticsearch with its official client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr, model_validator

from rebridge.errors import ConnectorError, MissingExtra
from rebridge.remote import Place
from rebridge_query_dsl.engine import BULK, Client, QueryDslEngine
from rebridge_query_dsl.failures import named
from rebridge_query_dsl.opening import open_index
from rebridge_query_dsl.settings import ClusterSettings

if TYPE_CHECKING:
    from typing import Self

    from elasticsearch import Elasticsearch

_JSON = {"accept": "application/json"}


class ElasticsearchSettings(ClusterSettings):
    """The ``connector:`` section of an index in Elasticsearch. `timeout_s` counts in seconds."""

    api_key: Annotated[SecretStr | None, Field(description="Instead of user and password: the encoded form.")] = None
    cloud_id: Annotated[str | None, Field(description="Instead of hosts: a deployment of Elastic Cloud.")] = None
    ca_fingerprint: Annotated[
        str | None, Field(description="Instead of ca_certs: SHA-256 of the authority's certificate, in hexadecimal.")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.cloud_id is not None and "hosts" in self.model_fields_set:
            raise ValueError("hosts and cloud_id both say where the engine is: remove one of them")
        if self.api_key is not None and self.user is not None:
            raise ValueError("user and api_key both say who asks: remove one of them")
        return self


class _Client:
    """The official client as the engine needs it."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client

    def perform(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = _JSON if body is None else {**_JSON, "content-type": "application/json"}
        return self._client.perform_request(method, path, headers=headers, body=body).body

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        from elasticsearch.helpers import streaming_bulk

        yield from streaming_bulk(self._client, actions, **BULK)

    def close(self) -> None:
        self._client.close()


def connect(settings: ElasticsearchSettings) -> tuple[Client, Place]:
    """A client, which has asked nothing yet, and what messages call its cluster.

    Raises:
        MissingExtra: if the official client is not installed.
        ConnectorError: if the settings cannot be used.
    """
    try:
        import elasticsearch
    except ModuleNotFoundError as error:
        raise MissingExtra("The elasticsearch connector", "elasticsearch") from error
    url = settings.cloud_id or ", ".join(settings.hosts)
    errors = (elasticsearch.ApiError, elasticsearch.TransportError)
    place = named("Elasticsearch", url, settings.index, settings.user, errors)
    try:
        client = elasticsearch.Elasticsearch(**_options(settings))
    except (ValueError, OSError) as error:  # a file of certificates or a cloud id that cannot be read
        raise ConnectorError(f"The connection to {url} cannot be set up: {error}") from error
    return _Client(client), place


def open_elasticsearch(settings: ElasticsearchSettings, *, create: bool = False) -> QueryDslEngine:
    """Connect to an index, and make it if it is missing and wanted.

    Raises:
        MissingExtra: if the official client is not installed.
        ConnectorError: with cause and cure.
    """
    client, place = connect(settings)
    return open_index(client, place, settings, create=create)


def _options(settings: ElasticsearchSettings) -> dict[str, Any]:
    """Keyword arguments of the client; only those that are given."""
    where = {"cloud_id": settings.cloud_id} if settings.cloud_id else {"hosts": settings.hosts}
    password = settings.password.get_secret_value() if settings.password else ""
    tls: dict[str, Any] = {"ca_certs": settings.ca_certs and str(settings.ca_certs)}
    tls["ssl_assert_fingerprint"] = settings.ca_fingerprint
    if not settings.verify_certs:
        tls |= {"verify_certs": False, "ssl_show_warn": False}
    who = {
        "basic_auth": (settings.user, password) if settings.user is not None else None,
        "api_key": settings.api_key and settings.api_key.get_secret_value(),
    }
    given = {name: value for name, value in {**tls, **who}.items() if value is not None}
    return {**where, **given, "request_timeout": settings.timeout_s}
