"""Elasticsearch reranks by itself: an inference endpoint, which the retriever `text_similarity_reranker` asks.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-inference-put-custom
https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-inference-put-hugging-face
https://www.elastic.co/docs/reference/elasticsearch/rest-apis/retrievers/text-similarity-reranker-retriever
"""

from __future__ import annotations

from rebridge_elasticsearch.native.api import open_api
from rebridge_elasticsearch.native.installing import Endpoint, Service, install, remove

__all__ = ["Endpoint", "Service", "install", "open_api", "remove"]
