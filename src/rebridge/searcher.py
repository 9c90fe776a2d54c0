"""One index, ready to be searched and reranked: what the command line and evaluation use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rebridge.closing import Closing
from rebridge.config import PipelineConfig
from rebridge.config_files import load_config
from rebridge.drivers import run, run_async
from rebridge.errors import ScorerError
from rebridge.flow import Outcome, first_stage_flow, rerank_flow
from rebridge.scorers import open_section
from rebridge.shared_scorers import SharedScorers

if TYPE_CHECKING:
    from rebridge.connector import Engine
    from rebridge.flow import Flow
    from rebridge.pipeline import Pipeline
    from rebridge.scorers import Scorer


class Searcher(Closing):
    """An engine, a pipeline and a scorer. Threads and tasks may share it.

    Args:
        pipeline: how requests are reranked.
        engine: where they go.
        scorer: what scores; None for a searcher that only asks the first stage.
        query_fields: fields and weights that plain words are searched in.
        fallbacks: what scores where ``scorer`` fails, in the order of the pipeline's.

    `close` ends the engine, and the scorer too if `open` made it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        engine: Engine[Any, Any],
        scorer: Scorer | None,
        query_fields: Mapping[str, float],
        fallbacks: Sequence[Scorer] = (),
    ) -> None:
        self.pipeline = replace(pipeline, fallbacks=pipeline.fallbacks[: len(fallbacks)])
        self.engine = engine
        self.scorer = scorer
        self.query_fields = query_fields
        self.fallbacks = tuple(fallbacks)
        self._owned = ExitStack()
        self._owned.callback(engine.close)

    @classmethod
    def open(  # noqa: PLR0913 - keyword options of a public entry point
        cls,
        index: str,
        config: PipelineConfig | None = None,
        *,
        configs: Path | None = None,
        scorer: Scorer | None = None,
        rerank: bool = True,
        create: bool = False,
    ) -> Self:
        """Connect to an index and load its model.

        Args:
            index: name of the index.
            config: its pipeline; read from ``configs/INDEX.yaml`` if None.
            configs: another folder to read it from.
            scorer: a scorer that is open already, to share one model among several indices, instead of the pipeline's
                own and its fallbacks. If None its own is loaded, and fallbacks when they are needed.
            rerank: load the model; without it `search` needs ``rerank=False``.
            create: make the index if the engine does not have it.

        Raises:
            ConfigError: if the pipeline is missing or wrong.
            ConnectorError: if the engine cannot be reached.
            ScorerError: if the model cannot be loaded.
        """
        config = config or load_config(index, configs)
        pipeline = config.pipeline(index)
        engine = pipeline.connector.open(config.connector_settings(index), create=create)
        shared = SharedScorers(scorer)
        fallbacks = shared.chain(config.scorer, config.fallbacks)[1:]
        searcher = cls(pipeline, engine, scorer, config.query_fields, fallbacks)
        searcher._owned.callback(shared.close)
        if rerank and scorer is None:
            try:
                searcher.scorer = open_section(config.scorer)
            except BaseException:
                searcher.close()
                raise
            searcher._owned.callback(searcher.scorer.close)
        return searcher

    def search(
        self,
        text: str,
        *,
        offset: int = 0,
        size: int = 10,
        filters: Mapping[str, Any] | None = None,
        rerank: bool = True,
    ) -> Outcome[Any]:
        """Search plain words.

        Args:
            text: what the user typed.
            offset: hits to skip, from 0.
            size: hits of the page.
            filters: field -> value, list of values, or range (``{"gte": 1}``); they never change a score.
            rerank: False for the first stage's own order.
        """
        return self.send(self.request(text, offset=offset, size=size, filters=filters), rerank=rerank)

    def request(self, text: str, *, offset: int = 0, size: int = 10, filters: Mapping[str, Any] | None = None) -> Any:
        """The engine's own request for plain words; arguments as `search`."""
        return self.pipeline.connector.request(
            text, fields=self.query_fields, offset=offset, size=size, filters=filters or {}
        )

    def send(self, request: Any, *, rerank: bool = True) -> Outcome[Any]:
        """Answer a request in the engine's own format."""
        return run(self._flow(request, rerank=rerank), self.engine.search, self._scorers(rerank=rerank))

    async def send_async(self, request: Any, *, rerank: bool = True) -> Outcome[Any]:
        """As `send`, without blocking the event loop."""

        async def fetch(native: Any) -> Any:
            return await asyncio.to_thread(self.engine.search, native)

        return await run_async(self._flow(request, rerank=rerank), fetch, self._scorers(rerank=rerank))

    def close(self) -> None:
        """Free what was opened. Calling it twice is allowed."""
        self._owned.close()

    def _flow(self, request: Any, *, rerank: bool) -> Flow[Any]:
        return (rerank_flow if rerank else first_stage_flow)(request, self.pipeline, time.monotonic)

    def _scorers(self, *, rerank: bool) -> tuple[Scorer, ...]:
        if self.scorer is not None:
            return (self.scorer, *self.fallbacks)
        if rerank:
            raise ScorerError("this searcher was opened without a model: open it with rerank=True")
        return ()
