"""What clients of Elasticsearch and OpenSearch ask for."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

from server_load import checks
from server_load.checks import Reply, Verdict
from server_load.traffic import BULK, JSON, Call, Plan, Task, drawn, page, same, writes

_LINES = {"content-type": "application/x-ndjson"}
_OK = 200


class QueryDsl:
    """The tasks of one client.

    Args:
        plan: what all do.
        seed: this one's own.
    """

    def __init__(self, plan: Plan, seed: str) -> None:
        self._plan, self._seed = plan, seed
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._path = f"/{plan.index}/_search"
        self._numbers = count()

    def tasks(self) -> Iterator[Task]:
        """Endless tasks, the same ones for the same seed."""
        kinds = [
            (40, self._search), (8, self._highlighted), (2, self._window), (15, self._bypassed),
            (5, self._multi), (20, self._document), (1, self._large), (5, self._bulk),
        ]  # fmt: skip
        return drawn(kinds, self._plan.queries, self._chance)

    def _search(self, query: str) -> Task:
        packed = {"accept-encoding": "gzip"} if self._chance.random() < 1 / 4 else {}
        return self._reranked("search", query, page(self._chance, self._plan.window), packed)

    def _highlighted(self, query: str) -> Task:
        more = {"highlight": {"fields": {"text": {"number_of_fragments": 1}}}, "_source": ["title"]}
        return self._reranked("search, highlighted", query, page(self._chance, self._plan.window), {}, **more)

    def _window(self, query: str) -> Task:
        return self._reranked("search, whole window", query, (0, self._plan.window), {})

    def _bypassed(self, query: str) -> Task:
        more: dict[str, Any] = self._chance.choice([{"size": 0}, {"size": 10, "sort": ["_doc"]}])
        return same("search, bypassed", self._call(_words(query, **more)))

    def _multi(self, query: str) -> Task:
        index = {"index": self._plan.index}
        lines = [index, _words(query, size=self._chance.choice([5, 10])), index, _words(query, size=0)]
        call = Call("POST", "/_msearch", _joined(lines), _LINES)

        def check(reply: Reply, direct: Reply, wider: Reply) -> Verdict:
            return checks.searches(reply, direct, [json.loads(wider.body), None])

        return Task("msearch", call, check, (call, self._call(_words(query, size=self._plan.window))), hurried=True)

    def _document(self, _: str) -> Task:
        document = f"_doc/{self._chance.choice(self._plan.ids)}"
        return same("GET", Call("GET", f"/{self._plan.index}/{self._chance.choice([document, '_mapping'])}"))

    def _large(self, _: str) -> Task:
        body = json.dumps({"ids": list(self._plan.ids)}).encode()
        return same("large reply", Call("POST", f"/{self._plan.index}/_mget", body, JSON))

    def _bulk(self, _: str) -> Task:
        names = [f"{self._seed}-{next(self._numbers)}" for _ in range(BULK)]
        body = _joined([line for name in names for line in ({"index": {"_id": name}}, {"title": name})])

        def check(reply: Reply) -> Verdict:
            items = json.loads(reply.body)["items"] if reply.status == _OK else ()
            done = [item["index"]["_id"] for item in items if item["index"]["result"] == "created"]
            return Verdict("passed", None if done == names else f"status {reply.status}, {len(done)} written")

        return Task("bulk", Call("POST", f"/{writes(self._plan.index)}/_bulk", body, _LINES), check, writes=BULK)

    def _reranked(self, kind: str, query: str, place: tuple[int, int], headers: Mapping[str, str], **more: Any) -> Task:
        own, wide = (
            self._call(_words(query, **{"from": start}, size=size, **more))
            for start, size in (place, (0, max(self._plan.window, sum(place))))
        )
        call = Call(own.method, own.path, own.body, {**JSON, **headers})
        return Task(kind, call, partial(checks.reranked, shape=checks.QUERY_DSL), (own, wide), hurried=True)

    def _call(self, body: Mapping[str, Any]) -> Call:
        return Call("POST", self._path, json.dumps(body).encode(), JSON)


def _words(query: str, **more: Any) -> dict[str, Any]:
    return {"query": {"multi_match": {"query": query, "fields": ["title", "text"]}}, **more}


def _joined(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
