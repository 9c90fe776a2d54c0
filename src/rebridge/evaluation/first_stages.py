"""Where the first stage's hits come from: an index that is searched, or a run that was saved earlier."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from rebridge.closing import Closing
from rebridge.searcher import Searcher

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.connector import Connector, Engine


class FirstStage(Protocol):
    """An engine with its connector, and how queries become requests.

    Attributes:
        connector: the translator for the engine.
        engine: where requests go.
        product: the engine and its version, for people.
        identity: equal only where the same queries get the same hits, as long as no document changes.
    """

    connector: Connector[Any, Any]
    engine: Engine[Any, Any]
    product: str
    identity: str

    def request(self, query_id: str, text: str, size: int) -> Any:
        """The engine's own request for the first ``size`` hits of a query."""


#: Gives the first stage of a pipeline; equal ones are the same object.
FirstStages = Callable[["PipelineConfig"], FirstStage]


class IndexedFirstStage:
    """The index of a pipeline.

    Args:
        searcher: the index, open; nobody closes it here.
        settings: all of the connector's settings, as text without secrets.
    """

    def __init__(self, searcher: Searcher, settings: str) -> None:
        self._searcher = searcher
        self.connector: Connector[Any, Any] = searcher.pipeline.connector
        self.engine: Engine[Any, Any] = searcher.engine
        self.product = searcher.engine.facts().product
        self.identity = repr((settings, dict(searcher.query_fields), self.product))

    def request(self, query_id: str, text: str, size: int) -> Any:
        """The request that ``rebridge search`` sends for these words."""
        del query_id
        return self._searcher.request(text, size=size)


class IndexedFirstStages(Closing):
    """Opens the index of each pipeline once, and closes them all.

    Args:
        index: name of the index, for pipelines whose connector section names none.
    """

    def __init__(self, index: str) -> None:
        self._index = index
        self._open: dict[str, IndexedFirstStage] = {}
        self._owned = ExitStack()

    def __call__(self, config: PipelineConfig) -> FirstStage:
        """The first stage of a pipeline.

        Raises:
            ConnectorError: if its engine cannot be reached, or does not have the index.
        """
        settings = repr(config.connector_settings(self._index))
        key = repr((config.connector.name, settings, dict(config.query_fields)))
        if key not in self._open:
            searcher = self._owned.enter_context(Searcher.open(self._index, config, rerank=False))
            self._open[key] = IndexedFirstStage(searcher, settings)
        return self._open[key]

    def close(self) -> None:
        """Close them. Calling it twice is allowed."""
        self._owned.close()
