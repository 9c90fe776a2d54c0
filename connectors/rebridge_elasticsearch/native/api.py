"""The API of an Elasticsearch that is to rerank by itself, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from rebridge_elasticsearch.opening import ElasticsearchSettings, connect
from rebridge_query_dsl.native import Api, native_place

A = TypeVar("A", bound=Api)

_RIGHTS = "it needs the cluster right manage_inference, which the role inference_admin gives"
#: Pattern of what Elasticsearch says -> cause and cure.
_BY_TEXT: Mapping[str, str] = {
    "no handler found for uri": "{url} has no inference API: the official distribution of Elasticsearch has it, 8.19 "
    "or 9.1 and later. ({said})",
    "Unknown service|does not support task type|unsupported task type": "{url} is too old for this service: it takes "
    "Elasticsearch 8.19 or 9.1 and later. ({said})",
    "non-compliant": "The licence of {url} does not hold for inference: it takes Enterprise, or its trial by POST "
    "/_license/start_trial?acknowledge=true. ({said})",
    r"inference entity id .*status \[\d+\]": "The server was reached from {url} and refused: {said}. If it has API "
    "keys, name the variable that holds one with --api-key-env; if it does not know the model, correct --model.",
    "inference entity id|failed: Connection refused|UnknownHost|validation call to service": "{url} cannot reach the "
    "server: start `rebridge serve` and give as --server the address under which Elasticsearch's own machine sees it "
    "(in a container, localhost is the container). ({said})",
}


@contextmanager
def open_api(settings: ElasticsearchSettings, tell: Callable[[str], None], kind: Callable[..., A]) -> Iterator[A]:
    """Connect to Elasticsearch.

    Args:
        settings: where it is and how to get in.
        tell: hears of what is done.
        kind: `Api`, or `DryRun`.

    Raises:
        ConnectorError: if the settings cannot be used.
        MissingExtra: if the official client is not installed.
    """
    client, place = connect(settings)
    try:
        yield kind(client, native_place(place, _RIGHTS, _BY_TEXT), tell)
    finally:
        client.close()
