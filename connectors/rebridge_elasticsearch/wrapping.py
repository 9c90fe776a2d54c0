"""Wrapped `Elasticsearch` and `AsyncElasticsearch` clients, of the packages elasticsearch and elasticsearch8."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from rebridge.bridge import Bridge
from rebridge.subclassing import above, stand_in, wrapped
from rebridge_query_dsl.exchange import Call, is_search
from rebridge_query_dsl.wrapping import answer, search_methods


def wrap_client(client: Any, bridge: Bridge) -> Any:
    """The same client, with its searches answered by the bridge."""
    return wrapped(client, bridge, _methods)


class _ApiResponses:
    """Responses of elasticsearch-py, whose bodies have a type and metadata around them."""

    def body(self, response: Any) -> Any:
        """What the engine answered; a response of another type, from a user's stub, is its own body."""
        return response.body if hasattr(response, "meta") else response

    def rebuilt(self, response: Any, body: Any) -> Any:
        """A response of the same type and metadata."""
        return type(response)(body=body, meta=response.meta) if hasattr(response, "meta") else body


_RESPONSES = _ApiResponses()


def _methods(base: type[Any]) -> Mapping[str, Any]:
    @wraps(base.options)
    def options(self: Any, *args: Any, **kwargs: Any) -> Any:
        other = above(self, "options")(*args, **kwargs)
        other.rebridge = self.rebridge
        return other

    return {**search_methods(base, _door), "options": options}


def _door(client: Any, rerank_query: str | None) -> Any:
    """A stand-in whose calls to the engine we see; they are made by the client itself, as it is then."""

    def perform(method: str, path: str, **options: Any) -> Any:
        if not is_search(path):
            return client.perform_request(method, path, **options)

        def send(call: Call) -> Any:
            return client.perform_request(call.method, call.path, **call.options)

        return answer(client, Call(method, path, options), send, _RESPONSES, rerank_query)

    return stand_in(client, perform_request=perform)
