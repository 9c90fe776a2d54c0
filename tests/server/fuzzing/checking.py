"""What must be true of every answer of a proxy."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import Phase, event

from .amount import MADE
from .engine import Place

#: Explaining a failure takes longer than finding it.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]


def check(place: Place, request: Any, reply: Any) -> None:
    """Ask, and look at the answer.

    Args:
        place: the proxy and its engine.
        request: method, target, headers and the pieces of the body.
        reply: the engine's: status, content type, body, and whether that is packed.
    """
    status, kind, body, packed = reply
    place.engine.answers(status, kind, body, packed=packed)
    MADE[place.kind] += 1
    answer = place.ask(*request)
    outcome = answer.headers.get("x-rerank", "")
    event(outcome.partition("; pipeline")[0] or "passed on")
    seen = (request, reply, answer)
    assert "rebridge_failed" not in outcome, seen
    assert answer.status in {status, 400}, seen
    if answer.status != status or request[0] == "HEAD":
        return
    if outcome.startswith("applied"):
        packed = answer.headers.get("content-encoding") == "gzip"
        assert json.loads(gzip.decompress(answer.body) if packed else answer.body) is not None, seen
    elif outcome.startswith("bypassed") and ", " not in outcome:
        together = "_msearch" in request[1]  # which is put together anew
        assert answer.body == body or (together and json.loads(answer.body) == json.loads(body)), seen
