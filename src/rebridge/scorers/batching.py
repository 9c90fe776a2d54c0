"""One thread per local model that fills batches from all concurrent jobs, and nothing that polls."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic

from rebridge.errors import ScorerError
from rebridge.scorers.base import Counts
from rebridge.scorers.batch import Batch, Input
from rebridge.scorers.budget import Budget
from rebridge.scorers.family import Family, Output
from rebridge.scorers.jobs import Job
from rebridge.scorers.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

# How long `close` waits for the batch that is being computed, seconds.
_JOIN_SECONDS = 5.0


class Worker(Generic[Output]):
    """Runs the jobs of one model, a batch at a time.

    A batch starts with the job whose turn it is, longest inputs first; room that is left is filled from the other
    jobs. In turns that is the job with the fewest passages left, and the oldest one. So a small job overtakes large
    ones, none waits for ever, and of more jobs than can be done in time some are done: if all had the same share of
    the model, all would pass their deadlines.

    The thread holds its worker, and so the worker does not hold the model: only jobs do. A model that nobody uses any
    more is freed with its scorer, which calls `retire` then.

    Args:
        token_budget: most tokens in a batch, padding included.
        turns: what models on the same device compute in turns by: a batch of one, a batch of the other.

    Attributes:
        counts: what went through the model so far; only the thread changes it.
        busy_since: `time.monotonic` value at which the batch began that is being prepared or computed. A batch that
            waits for another model's begins when it gets its turn: it is the other model that may be stuck.
    """

    def __init__(self, token_budget: int, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._budget = Budget(token_budget)
        self._jobs: deque[Job[Output]] = deque()
        self._wake = threading.Condition()
        self._oldest_first = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self.busy_since: float | None = None
        self.counts = Counts()

    def submit(self, job: Job[Output]) -> None:
        """Queue a job; the thread is started with the first one."""
        with self._wake:
            if not self._closed:
                self._jobs.append(job)
                if self._thread is None or not self._thread.is_alive():  # not alive: after a fork
                    self._thread = threading.Thread(target=self._run, name="rebridge-scorer", daemon=True)
                    self._thread.start()
                    _running.add(self)
                self._wake.notify()
                return
        job.settle(ScorerError("the scorer is closed"))

    def retire(self) -> None:
        """Refuse later jobs, and end the thread after those that are queued."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def close(self) -> None:
        """Fail what is queued and end the thread after the batch that is being computed."""
        with self._wake:
            self._closed = True
            jobs, self._jobs = self._jobs, deque()
            self._wake.notify()
        for job in jobs:
            job.settle(ScorerError("the scorer was closed before all passages were scored"))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)
        _running.discard(self)

    def _run(self) -> None:
        while self._turn():
            pass  # nothing may be kept between two turns: a job in a variable here would keep the model

    def _turn(self) -> bool:
        """Wait for jobs and compute one batch; false once the worker is closed."""
        jobs = self._wait()
        for job in jobs:
            job.expired()
        self.busy_since = time.monotonic()
        batch = self._fill([job for job in jobs if not job.settled])
        if batch.inputs:
            self._compute(batch)
        self.busy_since = None
        with self._wake:
            self._jobs = deque(job for job in self._jobs if not job.settled)
        return bool(jobs)

    def _wait(self) -> tuple[Job[Output], ...]:
        """Block until there are jobs; whose turn it is stands first. Empty once the worker is closed and done."""
        with self._wake:
            self._wake.wait_for(lambda: self._jobs or self._closed)
            self._oldest_first = not self._oldest_first
            return tuple(self._jobs if self._oldest_first else sorted(self._jobs, key=Job.left))

    def _fill(self, jobs: list[Job[Output]]) -> Batch[Output]:
        batch: Batch[Output] = Batch(self._budget.tokens)
        for job in jobs:
            if not batch.fits(batch.width):
                break
            with _failing(job):
                before = job.kept
                job.prepare()
                self.counts.kept += job.kept - before
                job.take(batch)
                job.finish_if_done()
        return batch

    def _compute(self, batch: Batch[Output]) -> None:
        """Run a batch when the turn comes, without the jobs that are over by then.

        Nothing is settled before the turn is handed on: a callback must not hold up other models, or wait for them.
        """
        self.busy_since = None
        with self._turns:
            self.busy_since = time.monotonic()
            batch = batch.awaited()
            outputs = self._outputs(batch)
        for job, item, output in zip(batch.jobs, batch.inputs, outputs, strict=True):
            if not job.settled:
                with _failing(job):
                    job.accept(item, output)

    def _outputs(self, batch: Batch[Output]) -> Sequence[Output | ScorerError]:
        """One output per input; where the model fails, its error for each."""
        if not batch.inputs:
            return ()
        counts, tokens = self.counts, sum(item.length for item in batch.inputs)
        counts.batches += 1
        counts.inputs += len(batch.inputs)
        counts.tokens += tokens
        counts.room += max(batch.budget, tokens)  # a single input may be longer than the budget
        try:
            return self._forward(batch.jobs[0].family, batch.inputs)
        except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust is no Exception
            return [_as_scorer_error(error)] * len(batch.inputs)

    def _forward(self, family: Family[Output], inputs: list[Input]) -> list[Output | ScorerError]:
        """One output per input; an error for an input that does not fit into memory even alone."""
        try:
            outputs = family.run([item.tokens for item in inputs])
        except MemoryError:
            pass  # leave the handler first: the error's traceback holds the memory of the failed batch
        else:
            if len(outputs) != len(inputs):
                raise ScorerError(f"the model gave {len(outputs)} outputs for {len(inputs)} inputs")
            self._budget.succeeded()
            return list(outputs)
        if len(inputs) == 1:
            return [
                ScorerError(
                    f"the model ran out of memory on one input of {inputs[0].length} tokens: use a smaller model or "
                    f"another device, or lower max_length if the model's recipe has it"
                )
            ]
        half = (len(inputs) + 1) // 2
        self._budget.failed(half * max(item.length for item in inputs))
        logger.warning("out of memory with %d inputs: batches are now %d tokens", len(inputs), self._budget.tokens)
        return self._forward(family, inputs[:half]) + self._forward(family, inputs[half:])


@contextmanager
def _failing(job: Job[Any]) -> Iterator[None]:
    """Whatever is raised inside fails this job, and neither other ones nor the thread."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust is no Exception
        job.settle(_as_scorer_error(error))


def _as_scorer_error(error: BaseException) -> ScorerError:
    if isinstance(error, ScorerError):
        return error
    wrapped = ScorerError(f"the model failed: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


# A daemon thread that computes while the interpreter goes away can crash it, so running workers are ended first.
_running: weakref.WeakSet[Worker[Any]] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for worker in list(_running):
        worker.close()
