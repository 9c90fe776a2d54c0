"""The pipelines that the playground searches, each with a connection to its engine, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import Lock

from rebridge.config import PipelineConfig
from rebridge.searcher import Searcher
from rebridge.shared_scorers import Opener, SharedScorers


class Shelf:
    """The pipelines by name. Threads may share it.

    Args:
        configs: the pipelines.
        opener: opens the scorer of a section.
        open_searcher: connects to the engine of a pipeline, by name.
    """

    def __init__(
        self,
        configs: Mapping[str, PipelineConfig],
        opener: Opener,
        open_searcher: Callable[[str, PipelineConfig, SharedScorers], Searcher] | None = None,
    ) -> None:
        self.configs = dict(configs)
        self._scorers = SharedScorers(opener=opener)
        self._open = open_searcher or _open
        self._opened: dict[str, Searcher] = {}
        self._locks = {name: Lock() for name in self.configs}  # an engine that is away keeps nobody else waiting
        self._held = ExitStack()
        self._held.callback(self._scorers.close)

    def searcher(self, name: str) -> Searcher:
        """The pipeline with its engine and scorers; may wait for the engine. A failure is not remembered.

        Raises:
            KeyError: if there is no such pipeline.
            ConnectorError: if the engine cannot be reached.
        """
        with self._locks[name]:
            if name not in self._opened:
                self._opened[name] = self._open(name, self.configs[name], self._scorers)
                self._held.callback(self._opened[name].close)
            return self._opened[name]

    def close(self) -> None:
        """End all connections."""
        self._held.close()


def _open(name: str, config: PipelineConfig, scorers: SharedScorers) -> Searcher:
    pipeline = config.pipeline(name)
    engine = pipeline.connector.open(config.connector_settings(name))
    scorer, *fallbacks = scorers.chain(config.scorer, config.fallbacks)
    return Searcher(pipeline, engine, scorer, config.query_fields, fallbacks)
