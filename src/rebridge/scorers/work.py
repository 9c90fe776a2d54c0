"""Work for threads that live as long as the process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

ResultT = TypeVar("ResultT")

#: What is to be done, and the future of what it gives.
Work = SimpleQueue[tuple[Future[Any], Callable[[], Any]]]


def put(queue: Work, work: Callable[[], ResultT]) -> Future[ResultT]:
    """Have something done; the future has what it gives, or raises."""
    future: Future[ResultT] = Future()
    queue.put((future, work))
    return future


def serve(queue: Work) -> NoReturn:
    """Do what is put there, for ever; as the target of a thread."""
    while True:
        _do(*queue.get())


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    """In a function of its own, so that nothing holds the result while the thread waits."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the work was given
        future.set_exception(error)
        del future, work  # the error's traceback would hold them, and the future the error
