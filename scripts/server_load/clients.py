"""The clients, in a process of their own: `run` sends the traffic for a while, and says what came of every request."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from server_load import traffic
from server_load.checks import Reply, Verdict
from server_load.query_dsl import QueryDsl
from server_load.solr import Solr
from server_load.traffic import Call, Plan, Task

#: One of so many requests goes to the rerank API.
_API_SHARE = 0.05
#: A request that is not answered by then is lost, seconds.
_LOST_S = 60.0
#: Most messages that are kept of what was wrong.
_TOLD = 10


@dataclass
class Tally:
    """What came of the requests of one kind.

    Attributes:
        ms: their times.
        engine_ms: what of these was the engine's, as the server says.
        outcomes: how often which.
        wrong: replies that are not as they must be.
        lost: requests without a reply.
        told: the first messages about these.
        hurried: whether the deadline holds.
    """

    ms: list[float] = field(default_factory=list)
    engine_ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    lost: int = 0
    told: list[str] = field(default_factory=list)
    hurried: bool = False


@dataclass
class Result:
    """What came of everything.

    Attributes:
        tallies: by engine and kind.
        written: by engine, documents whose writing was confirmed.
        cpu_s: processor time of the clients' process, seconds.
    """

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    written: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0


def run(plan: Plan) -> Result:
    """Send the traffic."""
    return asyncio.run(_Load(plan).run())


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._result = Result()
        self._known: dict[tuple[Any, ...], Reply] = {}
        self._scores: list[tuple[Call, list[float]]] = []

    async def run(self) -> Result:
        plan = self._plan
        connections = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=_LOST_S)
        headers = {"accept-encoding": "identity"}
        async with aiohttp.ClientSession(connector=connections, timeout=timeout, headers=headers) as self._session:
            await self._learn()
            end = time.monotonic() + plan.seconds
            names = list(plan.engines)
            began = time.process_time()
            async with asyncio.TaskGroup() as group:
                for number in range(plan.clients):
                    group.create_task(self._client(names[number % len(names)], number, end))
            self._result.cpu_s = time.process_time() - began
        return self._result

    async def _learn(self) -> None:
        """The scores that the rerank API gives while it has nothing else to do."""
        pairs = traffic.rerank_queries(self._plan.queries, self._plan.passages, 10)
        for query, documents in pairs:
            reply = await self._send(self._plan.api, traffic.rerank_call(query, documents, 60_000))
            call = traffic.rerank_call(query, documents, self._plan.deadline_ms)
            self._scores.append((call, _by_index(reply, len(documents))))

    async def _client(self, engine: str, number: int, end: float) -> None:
        plan, chance = self._plan, random.Random(number)  # noqa: S311 - no secret
        kind = Solr if engine == "solr" else QueryDsl
        tasks = kind(plan, f"{os.getpid()}-{number}").tasks()
        await asyncio.sleep(plan.pause_ms * chance.random() / 1000)  # not all at once
        while time.monotonic() < end:
            api = chance.random() < _API_SHARE
            await self._do(engine, traffic.rerank(*chance.choice(self._scores)) if api else next(tasks))
            await asyncio.sleep(plan.pause_ms * chance.uniform(0.5, 1.5) / 1000)

    async def _do(self, engine: str, task: Task) -> None:
        """One request, timed, and its reply checked."""
        direct, proxy = self._plan.engines[engine]
        references = [await self._reference(engine, direct, call) for call in task.direct]
        tally = self._result.tallies.setdefault(("" if task.api else engine, task.kind), Tally(hurried=task.hurried))
        began = time.perf_counter()
        try:
            reply = await self._send(self._plan.api if task.api else proxy, task.call)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            tally.lost += 1
            _tell(tally, f"{type(error).__name__}: {error}")
            return
        tally.ms.append((time.perf_counter() - began) * 1000)
        tally.engine_ms.append(reply.engine_ms)
        verdict = _judged(task, reply, references)
        tally.outcomes[verdict.outcome] += 1
        if verdict.wrong:
            tally.wrong += 1
            _tell(tally, f"{task.call.method} {task.call.path} {(task.call.body or b'')[:300]!r}: {verdict.wrong}")
        elif task.writes:
            self._result.written[engine] += task.writes

    async def _reference(self, engine: str, address: str, call: Call) -> Reply:
        """What the engine itself answers. The index does not change, and so it is asked once."""
        key = (engine, *call.key)
        if key not in self._known:
            self._known[key] = await self._send(address, call)
        return self._known[key]

    async def _send(self, address: str, call: Call) -> Reply:
        url = address + call.path
        async with self._session.request(call.method, url, data=call.body, headers=call.headers) as reply:
            told = reply.headers
            return Reply(reply.status, told.get("x-rerank", ""), await reply.read(), told.get("server-timing", ""))


def _judged(task: Task, reply: Reply, references: Sequence[Reply]) -> Verdict:
    try:
        return task.check(reply, *references)
    except (ValueError, LookupError, TypeError) as error:
        return Verdict(f"error: {reply.status}", f"unreadable: {type(error).__name__}: {error}")


def _tell(tally: Tally, message: str) -> None:
    if len(tally.told) < _TOLD:
        tally.told.append(message)


def _by_index(reply: Reply, count: int) -> list[float]:
    scores = {item["index"]: item["relevance_score"] for item in json.loads(reply.body)["results"]}
    return [scores[index] for index in range(count)]


async def overhead(pairs: Sequence[tuple[str, str]], call: Call, turns: int) -> list[list[float]]:
    """Milliseconds of a request at each of several addresses, which take turns; the first tenth warms up."""
    times: list[list[float]] = [[] for _ in pairs]
    async with aiohttp.ClientSession(headers={"accept-encoding": "identity"}) as session:
        for turn in range(turns + turns // 10):
            for at, (_, address) in enumerate(pairs):
                began = time.perf_counter()
                async with session.request(
                    call.method, address + call.path, data=call.body, headers=call.headers
                ) as reply:
                    await reply.read()
                if turn >= turns // 10:
                    times[at].append((time.perf_counter() - began) * 1000)
    return times
