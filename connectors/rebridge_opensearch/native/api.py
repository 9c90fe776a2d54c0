"""The API of an OpenSearch that is to rerank by itself, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from rebridge.errors import ConnectorError
from rebridge_opensearch.opening import OpenSearchSettings, connect
from rebridge_query_dsl.native import Api, native_place

A = TypeVar("A", bound=Api)

_RIGHTS = "it needs the right to change cluster settings, ML connectors and models (ml_full_access), search pipelines"
#: Pattern of what OpenSearch says -> cause and cure.
_BY_TEXT: Mapping[str, str] = {
    r"no handler found for uri \[/_plugins/_ml": "{url} has no ML Commons: install the plugins opensearch-ml and "
    "opensearch-neural-search, which the full distribution carries. ({said})",
    "Invalid processor type": "{url} has no processor `rerank`: install the plugin opensearch-neural-search (2.12 or "
    "later), which the full distribution carries. ({said})",
    "trusted connector private endpoint": "{url} trusts only some addresses inside private networks: add the server's "
    "to plugins.ml_commons.trusted_connector_private_endpoints_regex of its cluster settings. ({said})",
    "trusted connector endpoint": "{url} does not trust the server's address: its setting "
    "plugins.ml_commons.trusted_connector_endpoints_regex stands against it. ({said})",
    r"private ip address": "{url} calls no server at a private address: give --allow-private-ip, which allows that to "
    "all of its connectors, or give the server a public address. ({said})",
    "Error from remote service": "The server was reached from {url} and refused: {said}. If it has API keys, name "
    "the variable that holds one with --api-key-env; if it does not know the model, correct --model.",
    "Error communicating with remote model|Acquire operation took longer|UnknownHost": "{url} cannot reach the server: "
    "start `rebridge serve` and give as --server the address under which OpenSearch's own machine sees it (in a "
    "container, localhost is the container). ({said})",
    "encryption master key": "{url} is still preparing its keys: run this again in 10 seconds. ({said})",
}


@contextmanager
def open_api(settings: OpenSearchSettings, tell: Callable[[str], None], kind: Callable[..., A]) -> Iterator[A]:
    """Connect to OpenSearch.

    Args:
        settings: where it is and how to get in.
        tell: hears of what is done.
        kind: `Api`, or `DryRun`.

    Raises:
        ConnectorError: if it cannot be reached, does not let the user in or is another product, with the cure.
        MissingExtra: if the official client is not installed.
    """
    client, place = connect(settings)
    try:
        api = kind(client, native_place(place, _RIGHTS, _BY_TEXT), tell)
        version = api.read("GET", "/").get("version")
        if not isinstance(version, Mapping) or version.get("distribution") != "opensearch":
            raise ConnectorError(
                f"{place.url} is not OpenSearch: correct --url; for Elasticsearch there is "
                "`rebridge native install elasticsearch`."
            )
        yield api
    finally:
        client.close()
