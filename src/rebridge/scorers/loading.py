"""Where models are loaded: in one thread that stays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_lock = threading.Lock()
_jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] | None = None


def in_lasting_thread(job: Callable[[], ResultT]) -> ResultT:
    """Run a job in a thread that lives as long as the process, one job after the other.

    A thread that computes with torch and then ends, as request threads of web servers do, can leave OpenMP in a state
    in which every later computation of the process takes many times as long.

    Raises:
        Exception: whatever the job raised.
    """
    future: Future[ResultT] = Future()
    _queue().put((future, job))
    return future.result()


def _queue() -> SimpleQueue[tuple[Future[Any], Callable[[], Any]]]:
    global _jobs  # noqa: PLW0603 - one thread for the process
    with _lock:
        if _jobs is None:
            _jobs = SimpleQueue()
            threading.Thread(target=_work, args=(_jobs,), name="rebridge-loader", daemon=True).start()
        return _jobs


def _work(jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]]) -> None:
    while True:
        _do(*jobs.get())


def _do(future: Future[Any], job: Callable[[], Any]) -> None:
    """In a function of its own, so that nothing holds the result while the thread waits."""
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001 - it is raised where the job was given
        future.set_exception(error)


def _forget() -> None:
    """The child of a fork has none of its parent's threads."""
    global _jobs, _lock
    _jobs, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
