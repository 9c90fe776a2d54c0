"""An order among searches that want the processor, so that nothing else has to wait for more than a few of them."""

from __future__ import annotations

import asyncio

#: So many take 10 to 20 milliseconds.
_MOST = 4


class Turns:
    """Lets a few searches at a time go on.

    Reading, fusing and writing a rank window takes milliseconds. Without an order, everything that an event loop has to
    do waits in each of its rounds for all searches that can go on then, and a request needs many rounds. With it, a
    round has few of them, first come first served.

    Args:
        most: how many searches a round may have.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._free = asyncio.Semaphore(most)

    async def mine(self) -> None:
        """Wait for a turn: it lasts until whoever has it awaits something."""
        async with self._free:
            await asyncio.sleep(0)  # a round for all others
