"""OpenSearch reranks by itself: a remote model (ML Commons) and a search pipeline with the processor `rerank`.

https://docs.opensearch.org/latest/search-plugins/search-relevance/rerank-cross-encoder/
https://docs.opensearch.org/latest/search-plugins/search-pipelines/rerank-processor/
"""

from __future__ import annotations

from rebridge_opensearch.native.api import open_api
from rebridge_opensearch.native.installing import RerankPipeline, install, remove

__all__ = ["RerankPipeline", "install", "open_api", "remove"]
