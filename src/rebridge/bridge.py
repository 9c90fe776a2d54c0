"""Every search of one engine, each reranked by the pipeline of the index that it asks for.

Wrapped clients stand on it. A search asks for a *target*: the index, alias, pattern or list of them as it stands in the
request. Each part of a list is looked up among the names of the pipelines, then among their patterns, the longest
first. One request has one pipeline: if its parts lead to several, or one leads to none, the request passes through.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

from rebridge.bridge_config import EVERY, Config, pipelines_for
from rebridge.connector import Connector
from rebridge.drivers import run, run_async
from rebridge.errors import BadReply
from rebridge.flow import Outcome, rerank_flow, wanted
from rebridge.models import Summary
from rebridge.overrides import NONE, Overrides, overridden, permitted
from rebridge.pipeline import Pipeline
from rebridge.scorers.base import Scorer
from rebridge.shared_scorers import Opener, SharedScorers
from rebridge.steps import Announce, Fetch, Score, Scores
from rebridge.stories import Story, relay

#: Why a search that is not to be reranked passes through.
SKIPPED = "switched_off"
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


class Look(NamedTuple):
    """What `Bridge.search` would make of a request, without asking anybody.

    Attributes:
        pipeline: the pipeline's name, as in `Count`.
        native: the request as the engine takes it, without what only rebridge knows.
        reason: why it passes through, in a word; None if it is reranked.
        refused: the overrides that the pipeline does not allow.
    """

    pipeline: str | None
    native: Any
    reason: str | None
    refused: tuple[str, ...]


class Bridge:
    """The pipelines of one engine's indices, and the models that they share. Threads and tasks may share it.

    Args:
        connector: the engine's connector.
        config: the pipelines: a folder of pipeline files, of which those of this connector count (None for
            ``$REBRIDGE_CONFIGS`` or ``./configs``); or index -> pipeline; or one pipeline for every index. The
            ``connector`` section of a pipeline given as a value is not used.
        scorer: scores for all pipelines, instead of the models that they name; it is never closed here.
        lazy: load models when they are first needed, not at once.
        opener: opens the scorer of a section, instead of `rebridge.scorers.open_section`.

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
        opener: Opener | None = None,
    ) -> None:
        self.connector = connector
        self.source = (config, scorer, lazy)
        self._names, configs = pipelines_for(connector.name, config)
        self._models = SharedScorers(scorer, opener)
        self._scorers = {key: self._models.chain(config.scorer, config.fallbacks) for key, config in configs.items()}
        self._pipelines = {
            key: _scored_as(config.pipeline(key, connector), self._scorers[key]) for key, config in configs.items()
        }
        self._allowed = {key: config.overrides.allowed() for key, config in configs.items()}
        self._others = {
            (key, name): self._models.get(section)
            for key, config in configs.items()
            for name, section in config.overrides.models.items()
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

    def look(self, target: str | None, request: Any, overrides: Overrides = NONE) -> Look:
        """What `search` would make of a request.

        Raises:
            ConnectorError: if it is not a request of this engine.
        """
        key, reason = self._choose(target)
        asked = self.connector.read(request)
        if key is None:
            return Look(None, asked.native, reason, ())
        pipeline = self._pipelines[key]
        allowed, refused = permitted(overrides, self._allowed[key], pipeline)
        return Look(key, asked.native, SKIPPED if allowed.skip else wanted(asked, pipeline)[1], refused)

    def search(self, target: str | None, request: Any, overrides: Overrides = NONE) -> Story[Outcome[Any]]:
        """The story of one search, which brings its own scorer. Run it with `rebridge.drivers`.

        Args:
            target: the index that the request asks for.
            request: the native request, as the connector takes it.
            overrides: what is to be done otherwise; only what the pipeline allows is.

        Returns:
            A story of what the search comes to. A reply that is no search reply passes through as it came.
        """
        key, reason = self._choose(target)
        if key is None:
            return self._counted(None, _passed(self.connector, request, reason))
        allowed, _ = permitted(overrides, self._allowed[key], self._pipelines[key])
        if allowed.skip:
            return self._counted(key, _passed(self.connector, request, SKIPPED))
        pipeline, scorers = overridden(self._pipelines[key], allowed), self._scorers[key]
        if allowed.model is not None:
            scorers = (self._others[key, allowed.model], *scorers[1:])
            pipeline = _scored_as(pipeline, scorers)
        if key == EVERY and target:
            pipeline = replace(pipeline, index=target)
        return self._counted(key, _scored_by(scorers, _tolerant(rerank_flow(request, pipeline), pipeline.index)))

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

    def passed(self, target: str | None, reason: str) -> str | None:
        """Count a request that passes through without a search; returns the name of its pipeline."""
        key = self._choose(target)[0]
        self._count(key, Summary("bypassed", reason))
        return key

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


def _scored_as(pipeline: Pipeline, scorers: Sequence[Scorer]) -> Pipeline:
    """The pipeline with the names of these scorers, and no more fallbacks than there are."""
    return replace(pipeline, model=scorers[0].name, fallbacks=pipeline.fallbacks[: len(scorers) - 1])


def _scored_by(scorers: Sequence[Scorer], story: Story[Outcome[Any]]) -> Story[Outcome[Any]]:
    """The story with its scorers in every step that needs one."""

    def outward(step: Fetch | Announce | Score) -> Fetch | Announce | Scores:
        if isinstance(step, Announce):
            return replace(step, scorers=scorers)
        return Scores(((step, scorers),)) if isinstance(step, Score) else step

    def inward(step: Fetch | Announce | Score, answer: Any) -> Any:
        if not isinstance(step, Score):
            return answer
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    return relay(story, outward, inward)


def _passed(connector: Connector[Any, Any], request: Any, reason: str) -> Story[Outcome[Any]]:
    """A search that is not to be looked into."""
    reply = yield Fetch(connector.read(request).native)
    return Outcome(reply, (), Summary("bypassed", reason))


def _tolerant(flow: Story[Outcome[Any]], index: str) -> Story[Outcome[Any]]:
    """An application gets what its engine answered, also where that is no search reply."""
    try:
        return (yield from flow)
    except BadReply as error:
        _log.warning("%s: passed through: %s", index, error.problem)
        return Outcome(error.body, (), Summary("bypassed", "odd_reply"))
