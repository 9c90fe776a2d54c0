"""Where models are loaded: in one thread that stays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from rebridge.scorers.work import Work, put, serve

ResultT = TypeVar("ResultT")

_lock = threading.Lock()
_jobs: Work | None = None


def in_lasting_thread(job: Callable[[], ResultT]) -> ResultT:
    """Run a job in a thread that lives as long as the process, one job after the other.

    A thread that computes with torch and then ends, as request threads of web servers do, can leave OpenMP in a state
    in which every later computation of the process takes many times as long.

    Raises:
        Exception: whatever the job raised.
    """
    return put(_queue(), job).result()


def _queue() -> Work:
    global _jobs  # noqa: PLW0603 - one thread for the process
    with _lock:
        if _jobs is None:
            _jobs = Work()
            threading.Thread(target=serve, args=(_jobs,), name="rebridge-loader", daemon=True).start()
        return _jobs


def _forget() -> None:
    """The child of a fork has none of its parent's threads."""
    global _jobs, _lock
    _jobs, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
