"""The kinds of clients of Elasticsearch and OpenSearch, and how each is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rebridge import PipelineConfig
from rebridge.passages import PassageTemplate

from . import fake_cluster
from .fake_cluster import Cluster

CONFIG = PipelineConfig(rank_window=20, passage=PassageTemplate("{title}"))
QUERY = {"match": {"title": "shoe"}}


def last_first(query: str, passage: str) -> float:
    """d20 is the best of d1 to d20."""
    del query
    return float(passage.rsplit(maxsplit=1)[-1])


@dataclass(frozen=True)
class Kind:
    """A kind of client."""

    make: Callable[..., Any]
    awaited: bool = False

    def client(self, cluster: Cluster, **options: Any) -> Any:
        return self.make(cluster, awaited=self.awaited, **options)

    def ignoring(self, client: Any, status: int, **search: Any) -> Any:
        """A search with a client that is told to hand an error over as a reply."""
        if hasattr(client, "options"):
            return self.call(client.options(ignore_status=status).search, **search)
        return self.call(client.search, ignore=status, **search)

    def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """What a method returns; awaited if it must be."""
        answer = method(*args, **kwargs)
        if not self.awaited:
            return answer

        async def wait() -> Any:
            return await answer

        return asyncio.run(wait())

    def stub(self, client: Any, reply: Any) -> None:
        """Let a client get this reply to everything."""

        def answer(*args: Any, **kwargs: Any) -> Any:
            return reply

        async def answer_async(*args: Any, **kwargs: Any) -> Any:
            return reply

        perform = answer_async if self.awaited else answer
        if hasattr(client, "perform_request"):
            client.perform_request = perform
        else:
            client.transport = type("Stub", (), {"perform_request": staticmethod(perform)})()


def _elasticsearch(cluster: Cluster, **options: Any) -> Any:
    return fake_cluster.elasticsearch(cluster, **options)


KINDS = {
    "elasticsearch": Kind(_elasticsearch),
    "elasticsearch-async": Kind(_elasticsearch, awaited=True),
    "opensearch": Kind(fake_cluster.opensearch),
    "opensearch-async": Kind(fake_cluster.opensearch, awaited=True),
}


def ids(reply: Any) -> list[str]:
    return [hit["_id"] for hit in reply["hits"]["hits"]]
