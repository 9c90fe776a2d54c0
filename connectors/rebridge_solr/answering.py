"""The story of a search, whoever sends it: a wrapped client, or a proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from rebridge.bridge import Bridge
from rebridge.flow import Outcome
from rebridge.overrides import NONE, Overrides
from rebridge.steps import Fetch
from rebridge.stories import Story, relay
from rebridge_solr.handlers import Handlers, Place
from rebridge_solr.request import Request
from rebridge_solr.wire import checked

_HANDLERS: WeakKeyDictionary[Bridge, Handlers] = WeakKeyDictionary()

#: From the answer to a request to the value of Solr's reply; anything else where it is none.
Decode = Callable[[Any], Any]


def known(  # noqa: PLR0913, PLR0917 - a search, where it goes and how it is read
    bridge: Bridge, target: str, request: Request, place: Place, decode: Decode, overrides: Overrides = NONE
) -> Story[Request]:
    """The request with what its handler does by itself, if it is to be reranked.

    Yields:
        What `Handlers.defaults` does.
    """
    handlers = _HANDLERS.setdefault(bridge, Handlers())
    request = replace(request, defaults=handlers.known(place))
    if request.defaults is None and bridge.look(target, request, overrides).reason is None:
        request = replace(request, defaults=(yield from handlers.defaults(place, request, decode)))
    return request


def searched(
    bridge: Bridge, target: str, request: Request, decode: Decode, overrides: Overrides = NONE
) -> Story[Outcome[Any]]:
    """What a search comes to.

    Yields:
        `Fetch` of a `Request`, to be answered by what ``decode`` takes; and `Scores`.
    """

    def inward(step: Any, answer: Any) -> Any:
        return checked(step.request, decode(answer)) if isinstance(step, Fetch) else answer

    return relay(bridge.search(target, request, overrides), lambda step: step, inward)
