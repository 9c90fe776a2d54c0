"""How many tokens a batch on a CPU should have: measured when a model is loaded, once per machine and kind of model."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rebridge.scorers.measurements import keep, kept, key_of
from rebridge.scorers.turns import cpu_turns

if TYPE_CHECKING:
    from rebridge.scorers.family import Family
    from rebridge.scorers.tokens import Tokens

#: Tokens in a batch as long as nothing was measured. More brings hardly any speed on a CPU.
CPU_BUDGET = 1024
#: What is tried, in this order, and how often: what there is no time for is left out.
_SIZES, _ROUNDS = (CPU_BUDGET, 512, 256, 2048), 3
#: The same for each stream of a model that has some: no less, since each of them needs a long input of its own.
_STREAM_SIZES = (512, 1024)
#: How long measuring may take, seconds.
_LIMIT_S = 1.0
#: Where a batch takes less, nobody would notice a better one, seconds.
_NEGLIGIBLE_S = 0.005
#: A model with more bytes of weights would take the whole time for its first rows.
_LARGE = 2**30
#: A smaller batch that is nearly as fast as the best one looks at deadlines more often, and lets others in sooner.
_NEARLY = 0.97
#: About 128 tokens for most tokenizers, which is what passages have.
_QUERY = "how long are invoices and letters kept in the archive"
_PASSAGE = "Invoices and letters of the company are kept for ten years in the archive on the second floor. " * 6

_log = logging.getLogger(__name__)


def budget_key(config: Mapping[str, Any], dtype: str, backend: str) -> str:
    """What a measured budget depends on: the model's shape, what computes it, and the machine.

    Args:
        config: the model's ``config.json``.
        dtype: what it computes in.
        backend: what computes its layers.
    """
    return key_of("token budget of streams", config, dtype, backend)


def kept_budget(key: str) -> int | None:
    """What was measured before; None if nothing was."""
    found = kept(key)
    return found if type(found) is int and found > 0 and found % min(_SIZES) == 0 else None


def tuned_budget(family: Family[Any], key: str, clock: Callable[[], float] = time.perf_counter) -> int:
    """Measure a model that was just loaded, which takes a second at most, and keep the result.

    Whatever goes wrong, there is a budget.

    Args:
        family: the model, on a CPU, which nobody else uses yet.
        key: what to keep the result under; see `budget_key`.
        clock: tells the time, in seconds.
    """
    try:
        found = _measured(family, clock)
    except Exception as error:  # noqa: BLE001 - a model that cannot compute says so when it is asked for scores
        _log.debug("the token budget could not be measured", exc_info=error)
        return _sizes(family)[0]
    keep(key, found)
    return found


def _sizes(family: Family[Any]) -> tuple[int, ...]:
    """What is tried; the first one is the default."""
    streams = family.streams
    return _SIZES if streams is None else tuple(size * streams.count for size in _STREAM_SIZES)


def _measured(family: Family[Any], clock: Callable[[], float]) -> int:
    """The smallest budget that is nearly as fast as the best one; the default where it does not matter."""
    sizes = _sizes(family)
    if family.memory_bytes() > _LARGE:
        return sizes[0]
    numbers = itertools.count()

    def inputs(count: int) -> list[Tokens]:
        # A language model runs what inputs begin with only once: no passage may begin as one before it.
        passages = [f"{next(numbers)} {_PASSAGE}" for _ in range(count)]
        return [family.split(tokens)[0] for tokens in family.encode(_QUERY, passages)]

    def seconds(batch: Sequence[Tokens]) -> float:
        with cpu_turns():
            began = clock()
            family.run(batch)
            return clock() - began

    end = clock() + _LIMIT_S
    first = inputs(1)
    a_row = seconds(first)  # the first one takes longer, which only makes us careful
    taken: dict[int, float] = {}
    for size in sizes * _ROUNDS:
        rows = max(1, size // max(1, len(first[0])))
        if clock() + rows * a_row > end:
            continue
        took = seconds(inputs(rows))
        if size == sizes[0] and took < _NEGLIGIBLE_S:
            return size
        taken[size] = min(took / rows, taken.get(size, took))
        a_row = min(a_row, taken[size])
    if len(taken) <= 1:
        return sizes[0]  # there was no time for a comparison
    return min(size for size, row_s in taken.items() if min(taken.values()) >= _NEARLY * row_s)
