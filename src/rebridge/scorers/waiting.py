"""Futures of what others' futures come to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

AskedT = TypeVar("AskedT")
ResultT = TypeVar("ResultT")


def after(first: Future[Any], ask: Callable[[], Future[ResultT]]) -> Future[ResultT]:
    """The future of what can be asked only once another one is done.

    Args:
        first: what is waited for. It is never cancelled: others may wait for it too.
        ask: asks then; what it raises is the future's.

    Returns:
        A future; cancelling it cancels what was asked, or has nothing asked.
    """
    outer: Future[ResultT] = Future()

    def go_on(_: Future[Any]) -> None:
        if outer.cancelled():
            outer.set_running_or_notify_cancel()
            return
        try:
            inner = ask()
        except Exception as error:  # noqa: BLE001 - it is the future's
            _set(outer, outer.set_exception, error)
            return
        _follow(outer, inner, Future.result)

    first.add_done_callback(go_on)
    return outer


def read(inner: Future[AskedT], reading: Callable[[Future[AskedT]], ResultT]) -> Future[ResultT]:
    """The future of what is made of another one's answer or failure. Cancelling it cancels the other one.

    Args:
        inner: what is waited for.
        reading: given ``inner`` once it is done, unless it was cancelled; what it raises is the future's.
    """
    outer: Future[ResultT] = Future()
    _follow(outer, inner, reading)
    return outer


def _follow(outer: Future[ResultT], inner: Future[AskedT], reading: Callable[[Future[AskedT]], ResultT]) -> None:
    def settle(_: Future[AskedT]) -> None:
        if inner.cancelled():
            outer.cancel()
            outer.set_running_or_notify_cancel()
            return
        try:
            result = reading(inner)
        except BaseException as error:  # noqa: BLE001 - it is the future's
            _set(outer, outer.set_exception, error)
        else:
            _set(outer, outer.set_result, result)

    outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
    inner.add_done_callback(settle)


def _set(future: Future[Any], setter: Callable[[Any], None], value: Any) -> None:
    """Settle a future that others may have cancelled in the meantime."""
    if future.set_running_or_notify_cancel():
        setter(value)
