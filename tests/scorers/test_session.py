"""The event loop in which requests to a peer wait: what keeps it from starting fails, and hangs nobody."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import pytest

from rebridge.errors import ScorerError
from rebridge.scorers.session import Session


class Line:
    """A channel that answers."""

    async def answer(self) -> str:
        return "hello"

    async def close(self) -> None:
        """It holds nothing."""


def no_more() -> asyncio.AbstractEventLoop:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_process_without_free_files() -> None:
    """Where no event loop can be made, work is refused with the reason; once one can be, it is done."""
    session = Session("line", Line)
    refusals: list[str] = []

    def ask() -> None:
        with pytest.raises(ScorerError) as refused:
            session.run(Line.answer)
        refusals.append(str(refused.value))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", no_more)
        for _ in range(2):
            asking = threading.Thread(target=ask, daemon=True)
            asking.start()
            asking.join(10)
    assert refusals == ["line cannot be started: [Errno 24] Too many open files"] * 2
    assert session.run(Line.answer).result(10) == "hello"
    session.close()


def test_a_channel_that_cannot_be_opened() -> None:
    """Each piece of work is refused with the reason, also the next one while the first one's thread ends."""

    def opener() -> Line:
        raise ValueError("no such line")

    session = Session("line", opener)
    for _ in range(100):
        with pytest.raises(ScorerError, match="line cannot be started: no such line"):
            session.run(Line.answer)
    session.close()
