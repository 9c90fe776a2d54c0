"""Every search of one engine, each reranked by the pipeline of the index that it asks for.

Wrapped clients stand on it. A search asks for a *target*: the index, alias, pattern or list of them as it stands in the
request. Each part of a list is looked up among the names of the pipelines, then among their patterns, the longest
first. One request has one pipeline: if its parts lead to several, or one leads to none, the request passes through.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from rebridge.config import PipelineConfig, ScorerSection
from rebridge.config_files import available, configs_folder, load_config
from rebridge.connector import Connector
from rebridge.drivers import run, run_async
from rebridge.errors import BadReply, ConfigError
from rebridge.flow import Flow, Outcome, rerank_flow
from rebridge.models import Summary
from rebridge.scorers.base import Scorer
from rebridge.shared_scorers import SharedScorers
from rebridge.steps import Fetch
from rebridge.together import Results, together

Config = PipelineConfig | Mapping[str, PipelineConfig] | str | Path | None
#: Targets and native requests.
Searches = Sequence[tuple[str | None, Any]]

#: The pattern of a pipeline for every index.
EVERY = "*"
#: Requests whose targets have been looked up and are remembered.
_TARGETS = 1024

_log = logging.getLogger("rebridge")


class Count(NamedTuple):
    """What happened to a request, as `Bridge.counts` counts it.

    Attributes:
        target: the index that was asked for, as it stood in the request; None if it named none.
        status: ``applied``, ``bypassed`` or ``degraded``.
        reason: why, in a word.
    """

    target: str | None
    status: str
    reason: str | None


class Bridge:
    """The pipelines of one engine's indices, and the models that they share. Threads and tasks may share it.

    Args:
        connector: the engine's connector.
        config: the pipelines: a folder of pipeline files, of which those of this connector count (None for
            ``$REBRIDGE_CONFIGS`` or ``./configs``); or index -> pipeline; or one pipeline for every index. The
            ``connector`` section of a pipeline given as a value is not used.
        scorer: scores for all pipelines, instead of the models that they name; it is never closed here.
        lazy: load models when they are first needed, not at once.

    Raises:
        ConfigError: if a pipeline is wrong, or there is none.
        ScorerError: if a model cannot be loaded.
    """

    def __init__(
        self,
        connector: Connector[Any, Any],
        config: Config = None,
        *,
        scorer: Scorer | None = None,
        lazy: bool = False,
    ) -> None:
        self.connector = connector
        self.source = (config, scorer, lazy)
        self._names, configs = _pipelines(connector.name, config)
        self._pipelines = {key: config.pipeline(key, connector) for key, config in configs.items()}
        self._sections = {key: config.scorer for key, config in configs.items()}
        self._scorers = SharedScorers(scorer)
        self._counts: Counter[Count] = Counter()
        self._lock = Lock()
        self._choose = lru_cache(_TARGETS)(self._look_up)
        if not lazy:
            for section in self._sections.values():
                self._scorers.open(section)

    @property
    def counts(self) -> dict[Count, int]:
        """How many requests of each kind were answered so far."""
        with self._lock:
            return dict(self._counts)

    def answer(self, target: str | None, request: Any, send: Callable[[Any], Any]) -> Outcome[Any]:
        """Answer one search.

        Args:
            target: the index that the request asks for.
            request: the native request, as the connector takes it.
            send: sends a native request to the engine and returns its reply.

        Returns:
            What the search came to. A reply that is no search reply passes through as it came.

        Raises:
            Exception: whatever ``send`` raised; the scorer's error if the pipeline says so.
        """
        search, section = self._search(target, request)
        return run(search, send, self._scorer(section))

    async def answer_async(
        self, target: str | None, request: Any, send: Callable[[Any], Awaitable[Any]]
    ) -> Outcome[Any]:
        """As `answer`, without blocking the event loop."""
        search, section = self._search(target, request)
        return await run_async(search, send, await self._scorer_async(section))

    def answer_all(self, searches: Searches, send: Callable[[list[Any]], list[Any]]) -> Results:
        """Answer several searches at once, each given by its target and request.

        Args:
            searches: the searches.
            send: sends native requests and returns their replies, an exception in place of each that failed. It is
                called once, and once more only for searches that the engine refused in a wider form.

        Returns:
            For each search what it came to, or the exception that ended it.
        """
        pairs = [self._search(*search) for search in searches]
        return run(together([(search, self._scorer(section)) for search, section in pairs]), send)

    async def answer_all_async(self, searches: Searches, send: Callable[[list[Any]], Awaitable[list[Any]]]) -> Results:
        """As `answer_all`, without blocking the event loop."""
        pairs = [self._search(*search) for search in searches]
        flows = [(search, await self._scorer_async(section)) for search, section in pairs]
        return await run_async(together(flows), send)

    def serves(self, target: str | None) -> bool:
        """Whether there is a pipeline for this target."""
        return self._choose(target)[0] is not None

    def close(self) -> None:
        """Free the models that were loaded here; a later search loads them again."""
        self._scorers.close()

    def _search(self, target: str | None, request: Any) -> tuple[Flow[Any], ScorerSection | None]:
        key, reason = self._choose(target)
        if key is None:
            return self._counted(target, _unknown(self.connector, request, reason)), None
        pipeline = self._pipelines[key]
        if key == EVERY and target:
            pipeline = replace(pipeline, index=target)
        return self._counted(target, _tolerant(rerank_flow(request, pipeline), pipeline.index)), self._sections[key]

    def _look_up(self, target: str | None) -> tuple[str | None, str]:
        """The pipeline's key for a target; or None, and why."""
        parts = [part.strip() for part in (target or "*").split(",")]
        keys = {self._key(part) for part in parts if part and not part.startswith("-")}
        if None in keys or not keys:
            return None, "no_pipeline"
        return (keys.pop(), "") if len(keys) == 1 else (None, "several_pipelines")

    def _key(self, name: str) -> str | None:
        if name in self._names:
            return self._names[name]
        matching = [pattern for pattern in self._names if fnmatchcase(name, pattern)]
        return self._names[max(matching, key=len)] if matching else None

    def _scorer(self, section: ScorerSection | None) -> Scorer | None:
        return None if section is None else self._scorers.get(section)

    async def _scorer_async(self, section: ScorerSection | None) -> Scorer | None:
        if section is None:
            return None
        return self._scorers.ready(section) or await asyncio.to_thread(self._scorers.get, section)

    def _counted(self, target: str | None, flow: Flow[Any]) -> Flow[Any]:
        outcome = yield from flow
        with self._lock:
            self._counts[Count(target, outcome.summary.status, outcome.summary.reason)] += 1
        return outcome


def _unknown(connector: Connector[Any, Any], request: Any, reason: str) -> Flow[Any]:
    """A search that no pipeline is for."""
    reply = yield Fetch(connector.read(request).native)
    return Outcome(reply, (), Summary("bypassed", reason))


def _tolerant(flow: Flow[Any], index: str) -> Flow[Any]:
    """An application gets what its engine answered, also where that is no search reply."""
    try:
        return (yield from flow)
    except BadReply as error:
        _log.warning("%s: passed through: %s", index, error)
        return Outcome(error.body, (), Summary("bypassed", "odd_reply"))


def _pipelines(engine: str, config: Config) -> tuple[dict[str, str], dict[str, PipelineConfig]]:
    """The names and patterns of pipelines -> their keys, and the pipelines by key."""
    if isinstance(config, PipelineConfig):
        return {EVERY: EVERY}, {EVERY: config}
    if isinstance(config, Mapping):
        configs = dict(config)
    else:
        folder = None if config is None else Path(config)
        loaded = {key: load_config(key, folder) for key in available(folder)}
        configs = {key: value for key, value in loaded.items() if value.connector.name == engine}
        if not configs:
            raise ConfigError(
                f"No file in {configs_folder(folder)} is a pipeline for {engine}: write configs/INDEX.yaml with "
                f"connector: {{name: {engine}}}, or give wrap() a config."
            )
    names: dict[str, str] = {}
    for key, value in configs.items():
        # A file's stem need not be the engine's name of the index.
        own = value.connector_settings(key).index if not isinstance(config, Mapping) else key
        for name in dict.fromkeys((key, own, *value.also)):
            if names.setdefault(name, key) != key:
                raise ConfigError(f"The pipelines {names[name]!r} and {key!r} are both for {name!r}: remove one.")
    return names, configs
