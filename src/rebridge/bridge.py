"""Every search of one engine, each reranked by the pipeline of the index that it asks for.

Wrapped clients stand on it. A search asks for a *target*: the index, alias, pattern or list of them as it stands in the
request. Each part of a list is looked up among the names of the pipelines, then among their patterns, the longest
first. One request has one pipeline: if its parts lead to several, or one leads to none, the request passes through.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from rebridge.config import PipelineConfig
from rebridge.config_files import available, configs_folder, load_config
from rebridge.connector import Connector
from rebridge.drivers import run, run_async
from rebridge.errors import BadReply, ConfigError
from rebridge.flow import Outcome, rerank_flow
from rebridge.models import Summary
from rebridge.scorers.base import Scorer
from rebridge.shared_scorers import SharedScorers
from rebridge.steps import Fetch, Score, Scores
from rebridge.stories import Story, relay

Config = PipelineConfig | Mapping[str, PipelineConfig] | str | Path | None

#: The pattern of a pipeline for every index.
EVERY = "*"
#: Requests whose targets have been looked up and are remembered.
_TARGETS = 1024

_log = logging.getLogger("rebridge")


class Count(NamedTuple):
    """What happened to a request, as `Bridge.counts` counts it.

    Attributes:
        pipeline: the pipeline's name; ``*`` for one that is for every index, None where there was none.
        status: ``applied``, ``bypassed`` or ``degraded``.
        reason: why, in a word.
    """

    pipeline: str | None
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
        self._models = SharedScorers(scorer)
        self._scorers = {key: self._models.get(config.scorer) for key, config in configs.items()}
        self._pipelines = {
            key: replace(config.pipeline(key, connector), model=self._scorers[key].name)
            for key, config in configs.items()
        }
        self._counts: Counter[Count] = Counter()
        self._lock = Lock()
        self._choose = lru_cache(_TARGETS)(self._look_up)
        if not lazy:
            try:
                self._models.load()
            except BaseException:
                self.close()
                raise

    @property
    def counts(self) -> dict[Count, int]:
        """How many requests of each kind were answered so far."""
        with self._lock:
            return dict(self._counts)

    def serves(self, target: str | None) -> bool:
        """Whether there is a pipeline for this target."""
        return self._choose(target)[0] is not None

    def search(self, target: str | None, request: Any) -> Story[Outcome[Any]]:
        """The story of one search, which brings its own scorer. Run it with `rebridge.drivers`.

        Args:
            target: the index that the request asks for.
            request: the native request, as the connector takes it.

        Returns:
            A story of what the search comes to. A reply that is no search reply passes through as it came.
        """
        key, reason = self._choose(target)
        if key is None:
            return self._counted(None, _unknown(self.connector, request, reason))
        pipeline, scorer = self._pipelines[key], self._scorers[key]
        if key == EVERY and target:
            pipeline = replace(pipeline, index=target)
        return self._counted(key, _scored_by(scorer, _tolerant(rerank_flow(request, pipeline), pipeline.index)))

    def answer(self, target: str | None, request: Any, send: Callable[[Any], Any]) -> Outcome[Any]:
        """Answer one search; ``send`` sends a native request to the engine and returns its reply.

        Raises:
            Exception: whatever ``send`` raised; the scorer's error if the pipeline says so.
        """
        return run(self.search(target, request), send)

    async def answer_async(
        self, target: str | None, request: Any, send: Callable[[Any], Awaitable[Any]]
    ) -> Outcome[Any]:
        """As `answer`, without blocking the event loop."""
        return await run_async(self.search(target, request), send)

    def passed(self, target: str | None, reason: str) -> None:
        """Count a request that passes through without a look into it."""
        self._count(self._choose(target)[0], Summary("bypassed", reason))

    def close(self) -> None:
        """Free the models that were loaded here; a later search loads them again."""
        self._models.close()

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

    def _counted(self, key: str | None, story: Story[Outcome[Any]]) -> Story[Outcome[Any]]:
        outcome = yield from story
        self._count(key, outcome.summary)
        return outcome

    def _count(self, key: str | None, summary: Summary) -> None:
        with self._lock:
            self._counts[Count(key, summary.status, summary.reason)] += 1


def _scored_by(scorer: Scorer, story: Story[Outcome[Any]]) -> Story[Outcome[Any]]:
    """The story with its scorer in every step that needs one."""

    def outward(step: Fetch | Score) -> Fetch | Scores:
        return Scores(((step, scorer),)) if isinstance(step, Score) else step

    def inward(step: Fetch | Score, answer: Any) -> Any:
        if isinstance(step, Fetch):
            return answer
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    return relay(story, outward, inward)


def _unknown(connector: Connector[Any, Any], request: Any, reason: str) -> Story[Outcome[Any]]:
    """A search that no pipeline is for."""
    reply = yield Fetch(connector.read(request).native)
    return Outcome(reply, (), Summary("bypassed", reason))


def _tolerant(flow: Story[Outcome[Any]], index: str) -> Story[Outcome[Any]]:
    """An application gets what its engine answered, also where that is no search reply."""
    try:
        return (yield from flow)
    except BadReply as error:
        _log.warning("%s: passed through: %s", index, error.problem)
        return Outcome(error.body, (), Summary("bypassed", "odd_reply"))


def _checked(given: Mapping[Any, Any]) -> dict[str, PipelineConfig]:
    """The pipelines of a mapping, if they are pipelines."""
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, PipelineConfig):
            raise ConfigError(
                f"wrap() was given {type(value).__name__} for {key!r}: give an index's name and its pipeline, as in "
                "{'shop': PipelineConfig(rank_window=10)}, or PipelineConfig.model_validate({...}) for a dictionary."
            )
    return dict(given)


def _read(engine: str, given: Any) -> dict[str, PipelineConfig]:
    """The pipelines for this engine in a folder."""
    if given is not None and not isinstance(given, str | Path):
        raise ConfigError(
            f"wrap() was given {type(given).__name__} as its config: give a folder of pipeline files, a "
            "PipelineConfig, or a dictionary of index -> PipelineConfig."
        )
    folder = None if given is None else Path(given)
    if folder and folder.is_file():
        raise ConfigError(
            f"{folder} is a file, not a folder of pipeline files: give wrap() the folder {folder.parent}."
        )
    loaded = {key: load_config(key, folder) for key in available(folder)}
    configs = {key: value for key, value in loaded.items() if value.connector.name == engine}
    place = configs_folder(folder)
    if not configs and not place.is_dir():
        raise ConfigError(
            f"There is no folder {place.absolute()} of pipeline files: make it, set REBRIDGE_CONFIGS, or give wrap() "
            "another folder or a PipelineConfig."
        )
    if not configs:
        raise ConfigError(
            f"No file in {place} is a pipeline for {engine}: write configs/INDEX.yaml with "
            f"connector: {{name: {engine}}}, or give wrap() a config."
        )
    return configs


def _pipelines(engine: str, config: Config) -> tuple[dict[str, str], dict[str, PipelineConfig]]:
    """The names and patterns of pipelines -> their keys, and the pipelines by key."""
    if isinstance(config, PipelineConfig):
        return {EVERY: EVERY}, {EVERY: config}
    configs = _checked(config) if isinstance(config, Mapping) else _read(engine, config)
    names: dict[str, str] = {}
    for key, value in configs.items():
        # A file's stem need not be the engine's name of the index.
        own = value.connector_settings(key).index if not isinstance(config, Mapping) else key
        for name in dict.fromkeys((key, own, *value.also)):
            if names.setdefault(name, key) != key:
                raise ConfigError(f"The pipelines {names[name]!r} and {key!r} are both for {name!r}: remove one.")
    return names, configs
