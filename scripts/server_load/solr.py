"""What clients of Solr ask for, which has no multi-search."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial
from itertools import count
from urllib.parse import urlencode

from server_load import checks
from server_load.checks import Reply, Verdict
from server_load.traffic import BULK, JSON, Call, Plan, Task, drawn, page, same, writes

_OK = 200
#: What fits into the head of a request.
_MOST_IDS = 1000


class Solr:
    """The tasks of one client; see `server_load.query_dsl.QueryDsl`."""

    def __init__(self, plan: Plan, seed: str) -> None:
        self._plan, self._seed = plan, seed
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._core = f"/solr/{plan.index}"
        self._numbers = count()

    def tasks(self) -> Iterator[Task]:
        """Endless tasks, the same ones for the same seed."""
        kinds = [
            (44, self._search), (8, self._some_fields), (2, self._window), (15, self._bypassed),
            (20, self._document), (1, self._large), (5, self._bulk),
        ]  # fmt: skip
        return drawn(kinds, self._plan.queries, self._chance)

    def _search(self, query: str) -> Task:
        return self._reranked("search", query, page(self._chance, self._plan.window))

    def _some_fields(self, query: str) -> Task:
        place = page(self._chance, self._plan.window)
        return self._reranked("search, some fields", query, place, fl="id,title,score")

    def _window(self, query: str) -> Task:
        return self._reranked("search, whole window", query, (0, self._plan.window))

    def _bypassed(self, query: str) -> Task:
        calls = [self._select(query, (0, 0)), self._select(query, (0, 10), sort="id asc")]
        return same("search, bypassed", self._chance.choice(calls))

    def _document(self, _: str) -> Task:
        document = f"get?id={self._chance.choice(self._plan.ids)}"
        return same("GET", Call("GET", f"{self._core}/{self._chance.choice([document, 'schema'])}"))

    def _large(self, _: str) -> Task:
        return same("large reply", Call("GET", f"{self._core}/get?ids={','.join(self._plan.ids[:_MOST_IDS])}"))

    def _bulk(self, _: str) -> Task:
        documents = [{"id": f"{self._seed}-{next(self._numbers)}"} for _ in range(BULK)]
        call = Call("POST", f"/solr/{writes(self._plan.index)}/update", json.dumps(documents).encode(), JSON)

        def check(reply: Reply) -> Verdict:
            return Verdict("passed", None if reply.status == _OK else f"status {reply.status}")

        return Task("bulk", call, check, writes=BULK)

    def _reranked(self, kind: str, query: str, place: tuple[int, int], **more: str) -> Task:
        own = self._select(query, place, **more)
        wide = self._select(query, (0, max(self._plan.window, sum(place))), **more)
        return Task(kind, own, partial(checks.reranked, shape=checks.SOLR), (own, wide), hurried=True)

    def _select(self, query: str, place: tuple[int, int], **more: str) -> Call:
        params = {"q": query, "defType": "edismax", "qf": "title text", "start": place[0], "rows": place[1], **more}
        return Call("GET", f"{self._core}/select?{urlencode(params)}")
