"""The order among searches that want the processor."""

from __future__ import annotations

import asyncio

from rebridge.server.proxy.turns import Turns

SEARCHES = 20


def test_one_search_in_a_round() -> None:
    """Between two turns the event loop does whatever else there is to do, and turns come in order."""

    async def run() -> list[str]:
        turns, seen = Turns(1), list[str]()

        async def search(number: int) -> None:
            await turns.mine()
            seen.append(str(number))

        async def other() -> None:
            while len(seen) < 2 * SEARCHES - 1:
                if seen and seen[-1] != "-":
                    seen.append("-")
                await asyncio.sleep(0)

        await asyncio.gather(other(), *map(search, range(SEARCHES)))
        return seen

    assert "".join(asyncio.run(run())) == "-".join(map(str, range(SEARCHES)))


def test_who_gives_up_holds_up_nobody() -> None:
    """A search that is cancelled while it waits leaves the turns to the others."""

    async def run() -> int:
        turns = Turns(1)
        waiting = [asyncio.ensure_future(turns.mine()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        async with asyncio.timeout(5):
            await waiting[2]
        return sum(task.cancelled() for task in waiting)

    assert asyncio.run(run()) == 2
