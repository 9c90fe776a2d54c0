"""Elasticsearch in memory with a proxy in front of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from tests.connectors.client_kinds import QUERY, last_first
from tests.connectors.fake_cluster import Cluster

from rebridge.models import Summary
from rebridge.scorers.base import Scorer
from rebridge.testing import FakeScorer

from .fake_engines import cluster
from .proxying import CONFIG, ask, bridge, proxied
from .raw_upstream import Raw, listening

BODY = {"query": QUERY, "size": 3}
KIND = ("content-type", "application/vnd.elasticsearch+json; compatible-with=9")


class Shop:
    """Elasticsearch in memory and a proxy in front of it."""

    def __init__(self, raw: Raw, engine: Cluster, proxy: str, seen: list[tuple[str | None, Summary]]) -> None:
        self.raw, self.engine, self.proxy, self.seen = raw, engine, proxy, seen

    def search(self, body: Any = BODY, target: str = "/shop/_search", *headers: tuple[str, str]) -> Any:
        """The status, headers and JSON value of a reply."""
        given = list(headers) if any(name == "content-type" for name, _ in headers) else [KIND, *headers]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, got, text = ask(self.proxy, "POST", target, given, data)
        if dict(got).get("content-encoding") == "gzip":
            text = gzip.decompress(text)
        return status, got, json.loads(text)

    def told(self, *args: Any) -> str:
        return str(dict(self.search(*args)[1])["x-rerank"])


def shops(
    config: Any = CONFIG, scorer: Scorer | None = None, engine: Cluster | None = None, **options: Any
) -> Iterator[Shop]:
    engine = engine or Cluster()
    seen: list[tuple[str | None, Summary]] = []
    pipelines = bridge("elasticsearch", config, scorer or FakeScorer(last_first))
    with (
        listening(Raw(cluster(engine))) as raw,
        proxied(
            "elasticsearch", raw.url, pipelines, observer=lambda name, summary: seen.append((name, summary)), **options
        ) as proxy,
    ):
        yield Shop(raw, engine, proxy, seen)


def ids(reply: Any) -> list[str]:
    return [hit["_id"] for hit in reply["hits"]["hits"]]
