"""Up to how many tokens one stream is enough: measured when a model is loaded, once per machine and kind of model.

A query alone has some ten tokens. Where all processors share its operations, each of which takes microseconds, they are
woken up for every one, and that may cost more than it spares. But a large model's weights come from memory, which more
processors read faster.
"""

from __future__ import annotations

import logging
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from rebridge.scorers.measurements import keep, kept, key_of
from rebridge.scorers.turns import cpu_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rebridge.scorers.family import Family

#: What counts as few. With more there is enough work for all.
FEW_TOKENS = 32
#: As long as most.
_QUERY = "how long are invoices and letters kept in the archive of the company"
#: How often it is read either way, and after how long no more, seconds.
_ROUNDS, _LIMIT_S = 9, 0.4
#: Between searches processors fall asleep, seconds.
_PAUSE_S = 0.003
#: How much faster all processors must be: those outside the stream have an engine to run meanwhile.
_WORTH = 1.1

_log = logging.getLogger(__name__)


def few_tokens(
    family: Family[Any],
    config: Mapping[str, Any],
    dtype: str,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """`FEW_TOKENS`, or 0 where all processors are faster with these too. Whatever goes wrong, there is an answer.

    Args:
        family: a model that was just loaded, and that nobody else uses yet.
        config: the model's ``config.json``.
        dtype: what it computes in.
        clock: tells the time, in seconds.
        sleep: waits, so many seconds.
    """
    if family.streams is None:
        return 0
    try:
        key = key_of("few tokens", config, dtype)
        if type(found := kept(key)) is bool:
            return FEW_TOKENS if found else 0
        query = family.encode_query(_QUERY)
        if query is None:
            return 0
        shared = partial(family.forward, [query])
        enough = _is_enough(shared, partial(family.streams.alone, shared), clock, sleep)
    except Exception as error:  # noqa: BLE001 - a model that cannot compute says so when it is asked for scores
        _log.debug("it could not be measured how a query is read fastest", exc_info=error)
        return 0
    keep(key, enough)
    return FEW_TOKENS if enough else 0


def _is_enough(
    shared: Callable[[], Any], alone: Callable[[], Any], clock: Callable[[], float], sleep: Callable[[float], object]
) -> bool:
    """Whether a stream is about as fast alone, by turns."""
    ways = (shared, alone)
    times: tuple[list[float], ...] = ([], [])
    end = clock() + _LIMIT_S
    for turn in range(_ROUNDS + 1):
        for way, taken in zip(ways, times, strict=True):
            sleep(_PAUSE_S)
            with cpu_turns():
                began = clock()
                way()
                taken.append(clock() - began)
        if turn and clock() > end:
            break
    together, by_one = (statistics.median(taken[1:]) for taken in times)  # the first time takes longer
    return by_one <= _WORTH * together
