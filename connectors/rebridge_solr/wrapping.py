"""Wrapped `pysolr.Solr`, `pysolr.SolrCloud` and `AsyncSolr` clients.

The client's own ``search`` runs as it is, on a copy of the client that sees two steps of it: the request that goes out
by ``_select``, and the reply that its decoder reads. So whatever ``search`` makes of a reply, it makes of a reranked
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

from rebridge.bridge import Bridge
from rebridge.stories import Story
from rebridge.subclassing import above, itself, stand_in, with_rerank_query, wrapped
from rebridge_solr.answering import known, searched
from rebridge_solr.handlers import place_of, told, told_async
from rebridge_solr.learning import Ask
from rebridge_solr.request import Request, texts
from rebridge_solr.wire import on_the_wire


def wrap_client(client: Any, bridge: Bridge) -> Any:
    """The same client, with its searches answered by the bridge."""
    return wrapped(client, bridge, _methods)


def _methods(base: type[Any]) -> Mapping[str, Any]:
    @wraps(base.search)
    def search(self: Any, *args: Any, rerank_query: str | None = None, **kwargs: Any) -> Any:
        # The next page of a cursor is asked for on the copy that got the first.
        client = itself(self)
        if client.rebridge is None:
            return above(client, "search")(*args, **kwargs)
        copy = stand_in(client, _select=partial(_select, client, rerank_query), decoder=_Decoder(client.decoder))
        return above(copy, "search")(*args, **kwargs)

    search.__signature__ = with_rerank_query(base.search)  # type: ignore[attr-defined] # functions may have one
    return {"search": search} | ({"aclose": _closing(base)} if hasattr(base, "aclose") else {})


def _closing(base: type[Any]) -> Callable[[Any], Any]:
    """The asynchronous client's `aclose`, which frees the models too."""

    @wraps(base.aclose)
    async def aclose(self: Any) -> None:
        await above(self, "aclose")()
        if self.rebridge is not None:
            await asyncio.to_thread(self.rebridge.close)

    return aclose


def _select(client: Any, rerank_query: str | None, params: dict[str, Any], handler: str | None = None) -> Any:
    """What stands in for a client's ``_select`` during a search; to be awaited if the client's is."""
    search = _Search(client, params, handler, rerank_query)
    return (told_async if iscoroutinefunction(client._select) else told)(search.story(), search.sent)  # noqa: SLF001 - the very method


class _Search:
    """One search of a client, as it came to ``_select``."""

    def __init__(self, client: Any, params: dict[str, Any], handler: str | None, rerank_query: str | None) -> None:
        self._client, self._params, self._handler = client, params, handler
        # A client of SolrCloud goes to another address each time.
        address = str(getattr(client, "collection", None) or client.url)
        named = texts(params.get("collection", ()))
        # The core or collection: the last part of the address, unless a parameter names it.
        self._target = named[0] if named else address.rstrip("/").rpartition("/")[2]
        self._request = Request(params, handler=handler or client.search_handler or "select", rerank_query=rerank_query)
        self._place = place_of(address, self._request)

    def story(self) -> Story[Any]:
        """Answer the search, once it is known what its handler does by itself.

        Yields:
            `Fetch` of what `sent` takes, to be answered by the text of Solr's reply; what `known` and `searched` yield
            besides.

        Returns:
            What ``_select`` gives to ``search``.
        """
        bridge = self._client.rebridge
        request = yield from known(bridge, self._target, self._request, self._place, self._decoded)
        outcome = yield from searched(bridge, self._target, request, self._decoded)
        return outcome.reply.text if isinstance(outcome.reply, _Unreadable) else _Finished(outcome.reply)

    def sent(self, what: Request | Ask) -> Any:
        """The text of Solr's reply; to be awaited if the client's is."""
        if isinstance(what, Ask) and what.kind == "path":
            return self._client._send_request("get", what.what)  # noqa: SLF001 - the way of all requests
        params = what.what if isinstance(what, Ask) else on_the_wire(what).params
        # The user's own parameters themselves, unless the request is another.
        params = self._params if params is self._params else dict(params)
        return self._client._select(params, self._handler)  # noqa: SLF001 - the way of all searches

    def _decoded(self, text: Any) -> Any:
        """The reply behind a text; or a text that is none, for the client's decoder to refuse in its own way."""
        try:
            return self._client.decoder.decode(text)
        except (ValueError, TypeError):
            return _Unreadable(text)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """What cannot be decoded."""

    text: Any


@dataclass(frozen=True, slots=True)
class _Finished:
    """A reply that needs no decoding any more."""

    reply: Any


class _Decoder:
    """A client's decoder, which hands finished replies out as they are."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def decode(self, text: Any) -> Any:
        """The reply behind a text."""
        return text.reply if isinstance(text, _Finished) else self._decoder.decode(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)
