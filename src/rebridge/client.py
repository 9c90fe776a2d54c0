"""`wrap`: the user's own search client, with reranked answers."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from rebridge.bridge import Bridge
from rebridge.bridge_config import Config
from rebridge.connector import Connector
from rebridge.scorers.base import Scorer
from rebridge.subclassing import GROUP

ClientT = TypeVar("ClientT")


class ClientConnector(Connector[Any, Any], Protocol):
    """A connector that can wrap clients."""

    def wrap(self, client: Any, bridge: Bridge) -> Any:
        """The same client, with its searches answered by the bridge."""


def wrap(client: ClientT, config: Config = None, *, scorer: Scorer | None = None, lazy: bool = False) -> ClientT:
    """The same client, but its searches are reranked.

    What comes back is of the client's own class, shares its connections, and answers in the engine's own format; all
    that is no search goes through untouched. Its methods ``search`` and ``search_template`` also take
    ``rerank_query``, the words for the model where they are not those of the query. Its attribute ``rebridge`` is a
    `rebridge.bridge.Bridge`, which counts what was done. Closing the client frees the models that were loaded for it.

    Args:
        client: an `Elasticsearch`, `AsyncElasticsearch`, `OpenSearch`, `AsyncOpenSearch`, `pysolr.Solr`,
            `pysolr.SolrCloud` or `rebridge_solr.AsyncSolr`, or of a class derived from these.
        config: the pipelines: a folder of pipeline files (None for ``$REBRIDGE_CONFIGS`` or ``./configs``), of which
            those for this engine count; or a mapping from index to `rebridge.PipelineConfig`; or one
            `rebridge.PipelineConfig` for every index.
        scorer: a scorer that is open already, for all pipelines.
        lazy: load models at the first search that needs them, instead of now.

    Raises:
        TypeError: if no connector knows the client.
        ConfigError: if a pipeline is wrong, or there is none.
        ScorerError: if a model cannot be loaded.
    """
    points = entry_points(group=GROUP)
    for base in type(client).__mro__:
        for point in points.select(name=base.__module__.partition(".")[0]):
            connector: ClientConnector = point.load()
            bridge = Bridge(connector, config, scorer=scorer, lazy=lazy)
            try:
                wrapped: ClientT = connector.wrap(client, bridge)
            except BaseException:
                bridge.close()
                raise
            return wrapped
    known = ", ".join(sorted(point.name for point in points))
    raise TypeError(f"{type(client).__module__}.{type(client).__name__} is not a client that wrap() knows: {known}")
