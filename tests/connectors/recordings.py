"""Replies that Elasticsearch and OpenSearch gave once; see recorded/README.md."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import rebridge_elasticsearch
import rebridge_opensearch
from rebridge.models import PagePlan, RankedHit
from rebridge_query_dsl.request import Request

CONNECTORS: dict[str, Any] = {
    "elasticsearch": rebridge_elasticsearch.CONNECTOR,
    "opensearch": rebridge_opensearch.CONNECTOR,
}
PLAN = PagePlan(0, 10, 100, 0, 100, ("title", "comments.text", "short"))


class Recorded:
    """An engine's recorded replies, and its connector."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.connector = CONNECTORS[product]
        text = (Path(__file__).parent / "recorded" / f"{product}.json").read_text(encoding="utf-8")
        self._entries: dict[str, Any] = json.loads(text)

    def reply(self, name: str) -> Any:
        return copy.deepcopy(self._entries[name]["reply"])

    def request(self, name: str) -> Request:
        entry = self._entries[name]
        return Request("shop", entry["params"], entry["body"], entry.get("template"))

    def turned(self, name: str, asked: Request | None = None) -> Any:
        """The reply with its hits the other way round, with scores of 0.9, 0.8 and so on."""
        reply = self.reply(name)
        page = self.page(reply)
        rendered = self.connector.render(asked or self.request(name), reply, page, 0.9)
        assert reply == self.reply(name)
        return rendered

    def page(self, reply: Any) -> list[RankedHit]:
        found = list(reversed(self.connector.parse(reply, PLAN)))
        return [RankedHit(candidate, rank, 1 - rank / 10) for rank, candidate in enumerate(found, start=1)]
