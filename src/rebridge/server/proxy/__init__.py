"""Reranking in front of an engine, for clients that know nothing of it: searches are reranked, all else streams by."""

from rebridge.server.proxy.app import Proxy
from rebridge.server.proxy.upstream import Upstream

__all__ = ["Proxy", "Upstream"]
