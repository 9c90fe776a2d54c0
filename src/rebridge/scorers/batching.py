"""One thread per local model that fills batches from all concurrent jobs, and nothing that polls."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import deque
from typing import Any, Generic

from rebridge.errors import ScorerError
from rebridge.scorers.family import Family, Output
from rebridge.scorers.jobs import Batch, Input, Job

logger = logging.getLogger(__name__)

# How long `close` waits for the batch that is being computed, seconds.
_JOIN_SECONDS = 5.0


class Worker(Generic[Output]):
    """Runs jobs through a model, a batch at a time.

    A batch starts with the job whose turn it is, longest inputs first; room that is left is filled from the other
    jobs. Then it is the next job's turn, so a small job never waits for more than one batch of each other job.

    Args:
        family: the model.
        token_budget: most tokens in a batch, padding included.
    """

    def __init__(self, family: Family[Output], token_budget: int) -> None:
        self._family = family
        self._budget = token_budget
        self._jobs: deque[Job[Output]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

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
        while jobs := self._wait():
            for job in jobs:
                job.expired()
            batch = self._fill([job for job in jobs if not job.settled])
            if batch.inputs:
                self._compute(batch)
            with self._wake:
                self._jobs = deque(job for job in self._jobs if not job.settled)

    def _wait(self) -> tuple[Job[Output], ...]:
        """Block until there are jobs; whose turn it is stands first. Empty once the worker is closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._jobs or self._closed)
            jobs = tuple(self._jobs)
            self._jobs.rotate(-1)
            return jobs

    def _fill(self, jobs: list[Job[Output]]) -> Batch[Output]:
        batch: Batch[Output] = Batch(self._budget)
        for job in jobs:
            if not batch.fits(batch.width):
                break
            try:
                job.prepare()
            except Exception as error:  # noqa: BLE001 - whatever a tokeniser raises, only this job fails
                job.settle(_as_scorer_error(error))
                continue
            job.take(batch)
            job.finish_if_done()
        return batch

    def _compute(self, batch: Batch[Output]) -> None:
        try:
            outputs = self._forward(batch.inputs)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, only the jobs in this batch fail
            for job in batch.jobs:
                job.settle(_as_scorer_error(error))
            return
        for job, item, output in zip(batch.jobs, batch.inputs, outputs, strict=True):
            if job.settled:
                continue
            try:
                job.accept(item, output)
            except Exception as error:  # noqa: BLE001 - an odd output fails only its job
                job.settle(_as_scorer_error(error))

    def _forward(self, inputs: list[Input]) -> list[Output | ScorerError]:
        """One output per input; an error for an input that does not fit into memory even alone."""
        try:
            outputs = self._family.forward([item.tokens for item in inputs])
        except MemoryError:
            pass  # leave the handler first: the error's traceback holds the memory of the failed batch
        else:
            if len(outputs) != len(inputs):
                raise ScorerError(f"the model gave {len(outputs)} outputs for {len(inputs)} inputs")
            return list(outputs)
        if len(inputs) == 1:
            return [
                ScorerError(
                    f"the model ran out of memory on one input of {inputs[0].length} tokens: lower max_length, or use "
                    f"a smaller model or another device"
                )
            ]
        half = (len(inputs) + 1) // 2
        self._budget = min(self._budget, half * max(item.length for item in inputs))
        logger.warning("out of memory with %d inputs: batches are now %d tokens", len(inputs), self._budget)
        return self._forward(inputs[:half]) + self._forward(inputs[half:])


def _as_scorer_error(error: Exception) -> ScorerError:
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
