"""The connector for Apache Solr: a translator, an engine, wrapped pysolr clients, and an asynchronous client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge_solr.connector import CONNECTOR, SolrConnector
from rebridge_solr.request import Defaults, Request
from rebridge_solr.settings import SolrSettings

if TYPE_CHECKING:
    from rebridge_solr.async_client import AsyncSolr as AsyncSolr
    from rebridge_solr.wrapping import wrap_client as wrap_client

__all__ = ["CONNECTOR", "AsyncSolr", "Defaults", "Request", "SolrConnector", "SolrSettings", "wrap_client"]

# These need pysolr and httpx, which the translator does not.
_LATE = {"AsyncSolr": "rebridge_solr.async_client", "wrap_client": "rebridge_solr.wrapping"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
