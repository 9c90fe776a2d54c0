"""The translator between OpenSearch's requests and replies and rebridge's values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rebridge.bridge import Bridge
from rebridge_opensearch.opening import OpenSearchSettings, open_opensearch
from rebridge_opensearch.wrapping import wrap_client
from rebridge_query_dsl.connector import QueryDslConnector
from rebridge_query_dsl.engine import QueryDslEngine


class OpenSearchConnector(QueryDslConnector):
    """A `rebridge.connector.Connector` for OpenSearch."""

    name = "opensearch"
    settings: type[BaseModel] = OpenSearchSettings
    knows_unmapped = False
    template_status = True
    keeps_empty = False

    def open(self, settings: OpenSearchSettings, *, create: bool = False) -> QueryDslEngine:
        """Connect to an index; see `open_opensearch`."""
        return open_opensearch(settings, create=create)

    def wrap(self, client: Any, bridge: Bridge) -> Any:
        """The same client, with its searches answered by the bridge; see `rebridge.wrap`."""
        return wrap_client(client, bridge)


CONNECTOR = OpenSearchConnector()
