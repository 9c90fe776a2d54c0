"""Wrapped `pysolr.Solr`, `pysolr.SolrCloud` and `AsyncSolr` clients.

The client's own ``search`` runs as it is, on a copy of the client that sees two steps of it: the request that goes out
by ``_select``, and the reply that its decoder reads. So whatever ``search`` makes of a reply, it makes of a reranked
one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any
from weakref import WeakKeyDictionary

from rebridge.bridge import Bridge
from rebridge.drivers import run, run_async
from rebridge.steps import Fetch
from rebridge.subclassing import above, itself, stand_in, with_rerank_query, wrapped
from rebridge_solr.learning import Ask, learning
from rebridge_solr.reading import handler_of
from rebridge_solr.request import Defaults, Request, texts
from rebridge_solr.wire import checked, on_the_wire

# What the handlers of an engine do by themselves: by bridge, then by address and handler.
_KNOWN: WeakKeyDictionary[Bridge, dict[tuple[str, str], Defaults]] = WeakKeyDictionary()


def wrap_client(client: Any, bridge: Bridge) -> Any:
    """The same client, with its searches answered by the bridge."""
    return wrapped(client, bridge, _methods)


def _methods(base: type[Any]) -> Mapping[str, Any]:
    door = _async_door if iscoroutinefunction(getattr(base, "_select", None)) else _door

    @wraps(base.search)
    def search(self: Any, *args: Any, rerank_query: str | None = None, **kwargs: Any) -> Any:
        if self.rebridge is None:
            return above(self, "search")(*args, **kwargs)
        # The next page of a cursor is asked for on the copy that got the first.
        return above(door(itself(self), rerank_query), "search")(*args, **kwargs)

    search.__signature__ = with_rerank_query(base.search)  # type: ignore[attr-defined] # functions may have one
    return {"search": search} | ({"aclose": _closing(base)} if hasattr(base, "aclose") else {})


def _closing(base: type[Any]) -> Callable[[Any], Any]:
    @wraps(base.aclose)
    async def aclose(self: Any) -> None:
        await above(self, "aclose")()
        if self.rebridge is not None:
            self.rebridge.close()

    return aclose


def _door(client: Any, rerank_query: str | None) -> Any:
    def select(params: dict[str, Any], handler: str | None = None) -> Any:
        asked = _Asked(client, params, handler, rerank_query)

        def send(request: Request) -> Any:
            if asked.must_learn(request):
                run(asked.learning(), ask)
            return asked.reply(request, client._select(asked.wire(request), handler))  # noqa: SLF001 - our own stand-in

        def ask(step: Ask) -> Any:
            if step.kind == "search":
                return client._select(step.what, handler)  # noqa: SLF001 - the way of all searches
            return client._send_request("get", step.what)  # noqa: SLF001 - the way of all requests

        try:
            outcome = client.rebridge.answer(asked.target, asked.request, send)
        except _Learnt as learnt:
            outcome = client.rebridge.answer(asked.target, learnt.request, send)
        return _handed_out(outcome.reply)

    return _with(client, select)


def _async_door(client: Any, rerank_query: str | None) -> Any:
    async def select(params: dict[str, Any], handler: str | None = None) -> Any:
        asked = _Asked(client, params, handler, rerank_query)

        async def send(request: Request) -> Any:
            if asked.must_learn(request):
                await run_async(asked.learning(), ask)
            return asked.reply(request, await client._select(asked.wire(request), handler))  # noqa: SLF001 - as above

        async def ask(step: Ask) -> Any:
            if step.kind == "search":
                return await client._select(step.what, handler)  # noqa: SLF001 - as above
            return await client._send_request("get", step.what)  # noqa: SLF001 - as above

        try:
            outcome = await client.rebridge.answer_async(asked.target, asked.request, send)
        except _Learnt as learnt:
            outcome = await client.rebridge.answer_async(asked.target, learnt.request, send)
        return _handed_out(outcome.reply)

    return _with(client, select)


def _with(client: Any, select: Callable[..., Any]) -> Any:
    return stand_in(client, _select=select, decoder=_Decoder(client.decoder))


class _Learnt(Exception):
    """What the handler does by itself has just been learnt: the search begins again, with this request."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class _Asked:
    """One search of a client, as it came to ``_select``."""

    def __init__(self, client: Any, params: dict[str, Any], handler: str | None, rerank_query: str | None) -> None:
        self._client, self._params = client, params
        # A client of SolrCloud goes to another address each time.
        self._collection = getattr(client, "collection", None)
        request = Request(params, handler=handler or client.search_handler or "select", rerank_query=rerank_query)
        self._known = _KNOWN.setdefault(client.rebridge, {})
        self._place = (str(self._collection or client.url), handler_of(request))
        self.request = replace(request, defaults=self._known.get(self._place))

    @property
    def target(self) -> str:
        """The core or collection: the last part of the address, unless a parameter names it."""
        named = texts(self._params.get("collection", ()))
        return named[0] if named else str(self._collection or self._client.url.rstrip("/").rpartition("/")[2])

    def must_learn(self, request: Request) -> bool:
        """Whether this is the first request to the handler that would be reranked."""
        return request.plan is not None and request.defaults is None

    def learning(self) -> Generator[Fetch, Any, None]:
        """Learn what the handler does by itself.

        Raises:
            _Learnt: if it answers. If it does not, Solr's own defaults count for this one search.
        """
        found = yield from learning(self.request, self._decoded)
        if found is not None:
            self._known[self._place] = found
            raise _Learnt(replace(self.request, defaults=found))

    def wire(self, request: Request) -> dict[str, Any]:
        """What to hand to ``_select``: the user's own parameters themselves, unless the request is another."""
        params = on_the_wire(request).params
        return self._params if params is self._params else dict(params)

    def reply(self, request: Request, text: Any) -> Any:
        """The reply behind a text."""
        return checked(request, self._decoded(text))

    def _decoded(self, text: Any) -> Any:
        """A reply; or a text that is none, for the client's decoder to refuse in its own way."""
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


def _handed_out(reply: Any) -> Any:
    """What ``_select`` gives to ``search``, and so to `_Decoder`."""
    return reply.text if isinstance(reply, _Unreadable) else _Finished(reply)


class _Decoder:
    """A client's decoder, which hands finished replies out as they are."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def decode(self, text: Any) -> Any:
        """The reply behind a text."""
        return text.reply if isinstance(text, _Finished) else self._decoder.decode(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)
