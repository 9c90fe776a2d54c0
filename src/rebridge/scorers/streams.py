"""Parts of a batch that are computed at once, each by a processor of its own, or by a few.

torch shares every operation among all processors, which wait for each other after it and read from each other's caches
what came before. Encoders have thousands of short operations, so that much of the time goes into that. Parts of a batch
need nothing of each other before they are done. But the batch takes as long as one part, and who comes after it waits:
where there are many processors, a few of them share a part. OpenVINO has the same as streams
(https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import lru_cache, partial
from threading import Barrier, BrokenBarrierError, Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from rebridge.scorers.work import Work, put, serve

if TYPE_CHECKING:
    from rebridge.scorers.tokens import Tokens

ResultT = TypeVar("ResultT")

#: Tokens in a part below which reading the weights for each part anew would take too long.
_LEAST_TOKENS = 64
#: How much longer than on average the longest part may be: else processors had better share each operation.
_UNEVEN = 1.25
#: Parts of a batch at most. Each has hundreds of tokens: with one for each of many processors, a batch would be larger
#: and no sooner done.
_MOST = 8

_every: WeakSet[Streams] = WeakSet()


class Streams:
    """Threads in which torch uses few processors each. They are daemons: whoever has them work ends before the process.

    Args:
        count: how many.
        processors: how many each uses.
    """

    def __init__(self, count: int, processors: int = 1) -> None:
        self.count = count
        self.processors = processors
        self._begin()
        _every.add(self)

    def _begin(self) -> None:
        self._lock = Lock()
        self._work: Work | None = None

    def run(
        self, forward: Callable[[Sequence[Tokens]], list[ResultT]], batch: Sequence[Tokens], few: int = 0
    ) -> list[ResultT]:
        """One output per input; of a batch that has no even parts by one call, in which processors share all work.

        Args:
            forward: gives one output per input of a part, in order; called in several threads at once.
            batch: the inputs.
            few: of a batch with so many tokens at most, processors do not share the work.

        Raises:
            BaseException: what ``forward`` raised for the first part that failed, after all have ended.
        """
        lengths = [len(tokens) for tokens in batch]
        if few and sum(lengths) <= few:
            return self.alone(partial(forward, batch))
        parts = even_parts(lengths, self.count)
        if parts is None:
            return forward(batch)
        futures = [self._queued(partial(forward, [batch[index] for index in part])) for part in parts]
        wait(futures)
        found = []
        try:
            while futures:
                found.append(futures.pop(0).result())
        finally:
            del futures  # an error's traceback would hold them, and they the error with all that its part needed
        outputs: dict[int, ResultT] = {}
        for part, results in zip(parts, found, strict=True):
            outputs.update(zip(part, results, strict=True))
        return [outputs[index] for index in range(len(batch))]

    def alone(self, work: Callable[[], ResultT]) -> ResultT:
        """What a function gives in one of the threads."""
        return self._queued(work).result()

    def start(self) -> None:
        """Start the threads, unless they run.

        Raises:
            RuntimeError: if the system has no more threads.
        """
        with self._lock:
            if self._work is None:
                self._work = _started(self.count, self.processors)

    def _queued(self, work: Callable[[], ResultT]) -> Future[ResultT]:
        self.start()
        assert self._work is not None  # noqa: S101 - just started
        return put(self._work, work)


def even_parts(lengths: Sequence[int], count: int) -> list[list[int]] | None:
    """Indices of inputs in parts with about as many tokens each, the longest first; None if that cannot be had.

    The longest input that is left goes to the smallest part (Graham, Bounds on multiprocessing timing anomalies, 1969).

    Args:
        lengths: tokens of each input.
        count: how many parts there may be.
    """
    parts: list[list[int]] = [[] for _ in range(count)]
    tokens = [0] * count
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        smallest = tokens.index(min(tokens))
        parts[smallest].append(index)
        tokens[smallest] += lengths[index]
    mean = sum(tokens) / count
    even = mean >= _LEAST_TOKENS and max(tokens) <= _UNEVEN * mean
    return [part for part in parts if part] if even else None


def cpu_streams() -> Streams | None:
    """For the processors that torch uses in this thread, the same for all models; None if that is one."""
    import torch

    return _streams(torch.get_num_threads())


@lru_cache
def _streams(processors: int) -> Streams | None:
    each = math.ceil(processors / _MOST)
    return Streams(processors // each, each) if processors > 1 else None


def _started(count: int, processors: int) -> Work:
    """Start threads that use so many processors each, and give the queue of their work."""
    import torch

    work = Work()
    threads, every = torch.get_num_threads(), Barrier(count + 1)
    try:
        for _ in range(count):
            Thread(target=_live, args=(work, every, processors), name="rebridge-stream", daemon=True).start()
        every.wait()
    except BaseException:
        every.abort()  # those that have started wait for one that could not
        raise
    finally:
        torch.set_num_threads(threads)  # for threads that begin later
    return work


def _live(work: Work, every: Barrier, processors: int) -> None:
    import torch

    torch.set_num_threads(processors)
    # A thread takes the number that was set last, by whichever thread, when it is first asked for.
    torch.get_num_threads()
    with suppress(BrokenBarrierError):
        every.wait()
        serve(work)


def _forget(*_: Any) -> None:
    """The child of a fork has none of its parent's threads."""
    for streams in list(_every):
        streams._begin()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
