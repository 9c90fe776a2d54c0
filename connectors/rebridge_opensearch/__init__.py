"""The connector for OpenSearch."""

from rebridge_opensearch.connector import CONNECTOR, OpenSearchConnector
from rebridge_opensearch.opening import OpenSearchSettings
from rebridge_query_dsl.request import Request

__all__ = ["CONNECTOR", "OpenSearchConnector", "OpenSearchSettings", "Request"]
