"""Cases of the contract over engines behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from rebridge.connector import Engine, load

from .contract import DOCUMENTS, FIELDS, Case

#: Connector -> the index that recordings are made with.
INDICES = {"elasticsearch": "contract", "opensearch": "contract", "solr": "docs"}


def opened(name: str, url: str, index: str, *, create: bool = False) -> Engine[Any, Any]:
    """An index at the address of an engine, or of what stands before it; in one shard, so that ties have one order."""
    connector = load(name)
    where = {"url": f"{url}/solr"} if name == "solr" else {"hosts": url, "shards": 1, "replicas": 0}
    settings = connector.settings.model_validate({**where, "index": index, "fields": FIELDS})
    return connector.open(settings, create=create)


@contextmanager
def filled(name: str, url: str, index: str) -> Iterator[Case]:
    """A case over an index that is there and empty."""
    with closing(opened(name, url, index)) as engine:
        assert engine.add(DOCUMENTS) == len(DOCUMENTS)
        yield Case(load(name), engine)
