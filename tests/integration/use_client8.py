"""Searches a server with whatever client is installed, and prints the client's major version and what was done."""

from __future__ import annotations

import sys

import elasticsearch

from rebridge import PipelineConfig, wrap
from rebridge.passages import PassageTemplate
from rebridge.testing import FakeScorer

config = PipelineConfig(rank_window=20, passage=PassageTemplate("{title}"))
scorer = FakeScorer(lambda _query, passage: float(passage.rsplit(maxsplit=1)[-1]))
with wrap(elasticsearch.Elasticsearch(sys.argv[1]), config, scorer=scorer) as client:
    client.options(ignore_status=404).indices.delete(index="client8")
    for number in range(12):
        client.index(index="client8", id=str(number), document={"title": f"shoe {number}"})
    client.indices.refresh(index="client8")
    reply = client.search(index="client8", query={"match": {"title": "shoe"}}, size=1)
    if reply["hits"]["hits"][0]["_id"] == "11" and reply["_rerank"]["status"] == "applied":
        print(elasticsearch.__version__[0], "reranked")  # noqa: T201 - read by the test
    client.indices.delete(index="client8")
