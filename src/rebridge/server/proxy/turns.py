"""An order among searches that want the processor, so that nothing else has to wait for more than one of them."""

from __future__ import annotations

import asyncio


class Turns:
    """Lets one search at a time go on.

    Reading, fusing and writing a rank window takes milliseconds. Without an order, everything that an event loop has to
    do waits in each of its rounds for all searches that can go on then, and a request needs many rounds. With it, each
    round has one of them, first come first served.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def mine(self) -> None:
        """Wait for a turn: it lasts until whoever has it awaits something."""
        async with self._one:
            await asyncio.sleep(0)  # a round for all others
