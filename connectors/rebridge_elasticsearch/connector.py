"""The translator between Elasticsearch's requests and replies and rebridge's values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rebridge.bridge import Bridge
from rebridge_elasticsearch.opening import ElasticsearchSettings, open_elasticsearch
from rebridge_elasticsearch.wrapping import wrap_client
from rebridge_query_dsl.connector import QueryDslConnector
from rebridge_query_dsl.engine import QueryDslEngine


class ElasticsearchConnector(QueryDslConnector):
    """A `rebridge.connector.Connector` for Elasticsearch."""

    name = "elasticsearch"
    settings: type[BaseModel] = ElasticsearchSettings
    knows_unmapped = True
    template_status = False
    keeps_empty = True

    def open(self, settings: ElasticsearchSettings, *, create: bool = False) -> QueryDslEngine:
        """Connect to an index; see `open_elasticsearch`."""
        return open_elasticsearch(settings, create=create)

    def wrap(self, client: Any, bridge: Bridge) -> Any:
        """The same client, with its searches answered by the bridge; see `rebridge.wrap`."""
        return wrap_client(client, bridge)


CONNECTOR = ElasticsearchConnector()
