"""The connector for Elasticsearch."""

from rebridge_elasticsearch.connector import CONNECTOR, ElasticsearchConnector
from rebridge_elasticsearch.opening import ElasticsearchSettings
from rebridge_query_dsl.request import Request

__all__ = ["CONNECTOR", "ElasticsearchConnector", "ElasticsearchSettings", "Request"]
