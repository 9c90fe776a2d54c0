"""The mixed traffic: what clients ask for, what to compare the replies with, and how."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from server_load import checks
from server_load.checks import Verdict

JSON = {"content-type": "application/json"}
#: What the rerank API may answer when it has too much to do.
_REFUSALS = {429: "busy", 504: "deadline"}
_PASSAGES = 10
#: Documents in a bulk request.
BULK = 20


@dataclass(frozen=True)
class Plan:
    """What the clients do.

    Attributes:
        api: address of the rerank API.
        engines: engine -> its address, and that of its proxy.
        index: name of the index.
        queries: texts.
        ids: document ids.
        passages: texts for the rerank API.
        clients: how many.
        seconds: for how long.
        pause_ms: how long each waits between two requests.
        deadline_ms: of the requests to the rerank API.
        window: rank window of the pipelines.
    """

    api: str
    engines: Mapping[str, tuple[str, str]]
    index: str
    queries: Sequence[str]
    ids: Sequence[str]
    passages: Sequence[str]
    clients: int
    seconds: float
    pause_ms: float
    deadline_ms: int
    window: int


@dataclass(frozen=True)
class Call:
    """A request, of which the path is without the address."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, bytes | None]:
        """Under which the engine's own reply is kept."""
        return self.method, self.path, self.body


@dataclass(frozen=True)
class Task:
    """One thing that a client does.

    Attributes:
        kind: for the table.
        call: the request.
        direct: requests to the engine itself whose replies the check needs.
        check: judges the reply, given those.
        hurried: whether the pipeline's deadline holds.
        api: whether it goes to the rerank API.
        writes: documents that it writes.
    """

    kind: str
    call: Call
    check: Callable[..., Verdict]
    direct: Sequence[Call] = ()
    hurried: bool = False
    api: bool = False
    writes: int = 0


#: A query -> a task about it.
Maker = Callable[[str], Task]


def drawn(kinds: Sequence[tuple[int, Maker]], queries: Sequence[str], chance: random.Random) -> Iterator[Task]:
    """Endless tasks about random queries, of kinds (weight, maker)."""
    weights, makers = zip(*kinds, strict=True)
    while True:
        yield chance.choices(makers, weights)[0](chance.choice(queries))


def page(chance: random.Random, window: int) -> tuple[int, int]:
    """Offset and size: mostly the first page, some later ones, some across the end of the rank window or behind it."""
    return chance.choices([(0, 10), (10, 10), (20, 20), (window - 5, 10), (window + 20, 10)], [60, 15, 10, 10, 5])[0]


def same(kind: str, call: Call) -> Task:
    """A request whose reply must be the engine's own."""
    return Task(kind, call, checks.passed, (call,))


def writes(index: str) -> str:
    """The index that the bulk requests write to."""
    return f"{index}_writes"


def rerank_call(query: str, documents: Sequence[str], deadline_ms: int) -> Call:
    """A request to the rerank API."""
    body = json.dumps({"query": query, "documents": list(documents)}).encode()
    return Call("POST", "/v1/rerank", body, {**JSON, "x-rerank-deadline-ms": str(deadline_ms)})


def rerank(call: Call, reference: Sequence[float]) -> Task:
    """A request to the rerank API whose scores are known."""
    check = partial(checks.scores, reference=reference, refusals=_REFUSALS)
    return Task("rerank API", call, check, hurried=True, api=True)


def rerank_queries(queries: Sequence[str], documents: Sequence[str], count: int) -> list[tuple[str, list[str]]]:
    """Queries for the rerank API, each with its passages."""
    return [(query, list(documents[at * _PASSAGES : (at + 1) * _PASSAGES])) for at, query in enumerate(queries[:count])]
