"""Connecting to OpenSearch with its official client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConnectorError, MissingExtra
from rebridge.remote import EngineError, Place
from rebridge_query_dsl.engine import BULK, Client, QueryDslEngine
from rebridge_query_dsl.failures import named, translated
from rebridge_query_dsl.opening import open_index
from rebridge_query_dsl.settings import ClusterSettings

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

#: The last Elasticsearch that OpenSearch, and so its client, is compatible with.
_LAST_COMPATIBLE = (7, 10)


class OpenSearchSettings(ClusterSettings):
    """The ``connector:`` section of an index in OpenSearch. `timeout_s` counts in seconds."""


class _Client:
    """The official client as the engine needs it."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def perform(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._client.transport.perform_request(method, path, body=body)

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        from opensearchpy.helpers import streaming_bulk

        yield from streaming_bulk(self._client, actions, **BULK)

    def close(self) -> None:
        self._client.close()


def connect(settings: OpenSearchSettings) -> tuple[Client, Place]:
    """A client, which has asked nothing yet, and what messages call its cluster.

    Raises:
        MissingExtra: if the official client is not installed.
        ConnectorError: if the settings cannot be used.
    """
    try:
        import opensearchpy
    except ModuleNotFoundError as error:
        raise MissingExtra("The opensearch connector", "opensearch") from error
    url = ", ".join(settings.hosts)
    errors = (opensearchpy.OpenSearchException,)
    place = named("OpenSearch", url, settings.index, settings.user, errors)
    try:
        client = opensearchpy.OpenSearch(**_options(settings))
    except (ValueError, OSError, opensearchpy.ImproperlyConfigured) as error:
        raise ConnectorError(f"The connection to {url} cannot be set up: {error}") from error
    return _Client(client), place


def open_opensearch(settings: OpenSearchSettings, *, create: bool = False) -> QueryDslEngine:
    """Connect to an index, and make it if it is missing and wanted.

    Raises:
        MissingExtra: if the official client is not installed.
        ConnectorError: with cause and cure.
    """
    client, place = connect(settings)
    try:
        _refuse_elasticsearch(client, place)
    except BaseException:
        client.close()
        raise
    return open_index(client, place, settings, create=create)


def _refuse_elasticsearch(client: Client, place: Place) -> None:
    """This client talks to any product; what Elasticsearch has added since would be read wrongly."""
    try:
        with translated(place):
            version = client.perform("GET", "/")["version"]
        number = tuple(int(part) for part in version["number"].split(".")[:2])
    except (LookupError, TypeError, ValueError, AttributeError):  # not told: the search will say
        return
    except EngineError as error:
        if error.status_code is None:
            raise
        return
    if "distribution" not in version and number > _LAST_COMPATIBLE:
        raise ConnectorError(
            f"{place.url} is Elasticsearch {version['number']}, not OpenSearch: write `name: elasticsearch` in the "
            "connector section, or correct `hosts`."
        )


def _options(settings: OpenSearchSettings) -> dict[str, Any]:
    """Keyword arguments of the client."""
    password = settings.password.get_secret_value() if settings.password else ""
    tls: dict[str, Any] = {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
    if settings.ca_certs is not None:
        tls["ca_certs"] = str(settings.ca_certs)
    return {
        "hosts": settings.hosts,
        "http_auth": (settings.user, password) if settings.user is not None else None,
        "timeout": settings.timeout_s,
        **tls,
    }
