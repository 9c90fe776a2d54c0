"""What came of the requests, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from server_load.clients import Tally

#: What a reply may be later than the deadline, milliseconds.
GRACE_MS = 20


def percentiles(values: Sequence[float]) -> list[float]:
    """p50, p95, p99 and the highest."""
    ordered = sorted(values) or [0.0]
    return [round(ordered[min(len(ordered) - 1, len(ordered) * cut // 100)], 1) for cut in (50, 95, 99, 100)]


def row(engine: str, kind: str, tally: Tally, late_ms: float) -> dict[str, Any]:
    """One row of the table: what came of the requests of a kind, times in milliseconds."""
    late = [(ms, engine) for ms, engine in zip(tally.ms, tally.engine_ms, strict=True) if ms > late_ms]
    reasons = {name: count for name, count in sorted(tally.outcomes.items()) if name not in {"applied", "passed"}}
    return {
        "engine": engine,
        "request": kind,
        "count": len(tally.ms) + tally.lost,
        **dict(zip(("p50", "p95", "p99", "max"), percentiles(tally.ms), strict=True)),
        "late": len(late) if tally.hurried else "",
        "by the engine": sum(engine > late_ms - GRACE_MS for _, engine in late) if tally.hurried else "",
        "applied": tally.outcomes["applied"] if tally.hurried else "",
        "otherwise": ", ".join(f"{name} {count}" for name, count in reasons.items()),
        "wrong": tally.wrong,
        "lost": tally.lost,
    }


def together(tallies: Iterable[Tally]) -> Tally:
    """All requests for which the deadline holds."""
    whole = Tally(hurried=True)
    for tally in tallies:
        if tally.hurried:
            whole.ms += tally.ms
            whole.engine_ms += tally.engine_ms
            whole.outcomes += tally.outcomes
            whole.wrong += tally.wrong
            whole.lost += tally.lost
    return whole
