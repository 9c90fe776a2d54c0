"""Wrapped `OpenSearch` and `AsyncOpenSearch` clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rebridge.bridge import Bridge
from rebridge.subclassing import stand_in, wrapped
from rebridge_query_dsl.exchange import Call, is_search
from rebridge_query_dsl.wrapping import answer, search_methods


def wrap_client(client: Any, bridge: Bridge) -> Any:
    """The same client, with its searches answered by the bridge."""
    return wrapped(client, bridge, _methods)


class _PlainResponses:
    """Responses of opensearch-py, which are the bodies themselves."""

    def body(self, response: Any) -> Any:
        """What the engine answered."""
        return response

    def rebuilt(self, response: Any, body: Any) -> Any:
        """The body."""
        del response
        return body


_RESPONSES = _PlainResponses()


def _methods(base: type[Any]) -> Mapping[str, Any]:
    return search_methods(base, _door)


class _Transport:
    """The client's transport, with its search calls answered by the bridge."""

    def __init__(self, client: Any, rerank_query: str | None) -> None:
        self._client, self._rerank_query = client, rerank_query

    def perform_request(self, method: str, url: str, **options: Any) -> Any:
        """Answer a call."""
        client = self._client
        if not is_search(url):
            return client.transport.perform_request(method, url, **options)

        def send(call: Call) -> Any:
            # The transport takes its own options out of the parameters, and a call may be sent twice.
            params = {"params": dict(call.options["params"])} if call.options.get("params") else {}
            return client.transport.perform_request(call.method, call.path, **{**call.options, **params})

        return answer(client, Call(method, url, options), send, _RESPONSES, self._rerank_query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.transport, name)


def _door(client: Any, rerank_query: str | None) -> Any:
    """A stand-in whose calls to the engine we see; they are made by the client's own transport, as it is then."""
    return stand_in(client, transport=_Transport(client, rerank_query))
