"""What clients and rebridge tell each other in headers.

``X-Rerank`` is a list as of RFC 8941 (Structured Field Values): ``applied; pipeline=shop; model="a model"``. Several
searches that went the same way are one member, with ``searches``. ``Server-Timing`` is
https://www.w3.org/TR/server-timing/, in milliseconds.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from rebridge.http import Headers, Searched, header
from rebridge.overrides import Overrides

#: As a pipeline's longest deadline may be, in any unit that fits: no number above it is meant.
_LONGEST_MS = 1e9
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_INTEGER = re.compile(r"[0-9]{1,9}")


def overrides(headers: Headers) -> Overrides:
    """What a request asks for: ``X-Rerank: off``, ``X-Rerank-Window``, ``-Model`` and ``-Deadline-Ms``."""
    window, deadline = header(headers, "x-rerank-window"), header(headers, "x-rerank-deadline-ms")
    model = header(headers, "x-rerank-model")
    milliseconds = _milliseconds(deadline)
    odd = [
        name
        for name, given, read in (
            ("rank_window", window, window is not None and _INTEGER.fullmatch(window.strip())),
            ("deadline", deadline, milliseconds is not None),
        )
        if given is not None and not read
    ]
    return Overrides(
        rank_window=int(window) if window is not None and "rank_window" not in odd else None,
        skip=(header(headers, "x-rerank") or "").strip().lower() == "off",
        model=model.strip() if model else None,
        deadline_s=None if milliseconds is None else milliseconds / 1000,
        odd=tuple(odd),
    )


def _milliseconds(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= _LONGEST_MS else None


def told(searches: Sequence[Searched], refused: Sequence[str], total_ms: float) -> Headers:
    """The headers that say what was done."""
    return ("x-rerank", _outcome(searches, refused)), ("server-timing", _timing(searches, total_ms))


def failed(reason: str, total_ms: float) -> Headers:
    """The headers of a reply that is not the engine's."""
    return ("x-rerank", f"bypassed; reason={_item(reason)}"), ("server-timing", f"total;dur={total_ms:.1f}")


def _outcome(searches: Sequence[Searched], refused: Sequence[str]) -> str:
    members = Counter(
        (done.summary.status, done.summary.reason, done.pipeline, done.summary.model) for done in searches
    )
    return ", ".join(
        "; ".join(
            [
                status,
                *(
                    f"{name}={_item(value)}"
                    for name, value in (("reason", reason), ("pipeline", pipeline), ("model", model))
                    if value
                ),
                *([f"searches={count}"] if len(searches) > 1 else ()),
                *([f"override_refused={_item(' '.join(refused))}"] if refused else ()),
            ]
        )
        for (status, reason, pipeline, model), count in members.items()
    )


def _timing(searches: Sequence[Searched], total_ms: float) -> str:
    """Searches of one request ran at the same time."""
    parts = {
        "engine": max((done.summary.engine_ms for done in searches), default=0.0),
        "scorer": max((done.summary.scorer_ms for done in searches), default=0.0),
    }
    shown = {name: dur for name, dur in parts.items() if dur} | {"total": total_ms}
    return ", ".join(f"{name};dur={dur:.1f}" for name, dur in shown.items())


def _item(text: str) -> str:
    """A token, or a string in quotes."""
    plain = text.encode("ascii", "backslashreplace").decode()
    if _TOKEN.fullmatch(plain):
        return plain
    quoted = "".join(char for char in plain if char.isprintable()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
