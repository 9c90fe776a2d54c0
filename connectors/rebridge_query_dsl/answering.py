"""The stories of searches and multi-searches, whoever sends them: a wrapped client, or a proxy.

They yield `Fetch` of a `Call`, to be answered by the response to it, and `Scores`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from rebridge.bridge import Bridge
from rebridge.flow import Outcome
from rebridge.overrides import NONE, Overrides
from rebridge.steps import Fetch
from rebridge.stories import Story, relay, together
from rebridge_query_dsl.exchange import Call, Multi, Single

_log = logging.getLogger("rebridge")


def readable(bridge: Bridge, single: Single) -> Story[bool]:
    """Make sure that a search can be read: a template is rendered, if there is a pipeline for it. Returns whether."""
    if not single.is_template:
        return True
    if not bridge.serves(single.target):
        return False
    try:
        return single.rendered((yield Fetch(single.rendering())))
    except Exception as error:  # noqa: BLE001 - then the engine answers the template itself, or says what is wrong
        _log.debug("a search template cannot be rendered and passes through: %s", error)
        return False


def searched(bridge: Bridge, single: Single, overrides: Overrides = NONE) -> Story[Outcome[Any]]:
    """What a search comes to."""
    search = bridge.search(single.target, single.request, overrides)
    return relay(search, _calls(single.call), _replies(single.received))


def searched_together(
    bridge: Bridge, multi: Multi, overrides: Overrides = NONE
) -> Story[list[Outcome[Any] | Exception]]:
    """What each search of a multi-search comes to, or the exception that ended it.

    Raises:
        OddResponse: as `Multi.received`.
    """
    searches = together([bridge.search(request.index, request, overrides) for request in multi.requests])
    return relay(searches, _calls(multi.call), _replies(multi.received))


def _calls(call: Callable[[Any], Call]) -> Callable[[Any], Any]:
    return lambda step: Fetch(call(step.request)) if isinstance(step, Fetch) else step


def _replies(received: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda step, answer: received(step.request, answer) if isinstance(step, Fetch) else answer
