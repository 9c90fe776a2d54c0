"""From the `scorer:` section of a pipeline to a scorer."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from rebridge.errors import MissingExtra
from rebridge.scorers.opening import open_scorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebridge.config import ScorerSection
    from rebridge.scorer_section import ScoreCacheSection
    from rebridge.scorers.base import Scorer
    from rebridge.scorers.score_cache.shared import RedisScores

_log = logging.getLogger("rebridge")


def open_section(
    section: ScorerSection,
    uncached: Callable[[], Scorer] | None = None,
    looked: Callable[[int, int], object] | None = None,
) -> Scorer:
    """Open what a section describes: load a model, or prepare to ask a peer, which may be down as yet.

    Args:
        section: which scorer.
        uncached: gives the scorer of the same section without its cache, if others use that too: `open_uncached` opened
            it, and who has it closes it. None to open one for this section alone.
        looked: as of `rebridge.scorers.score_cache.CachedScorer`.

    Raises:
        ScorerError: if a model cannot be loaded, or a cache in Redis not be opened.
        ConfigError: if an option is unknown or its value impossible.
        MissingExtra: if the packages of a remote scorer, or of a cache in Redis, are not installed.
    """
    if section.score_cache is not None:
        return _cached(section, section.score_cache, uncached, looked)
    if section.kind == "local":
        return open_scorer(section.model, **section.options())
    try:
        from rebridge.scorers.remote import RemoteScorer
    except ModuleNotFoundError as error:
        raise MissingExtra("A remote scorer", "server") from error
    return RemoteScorer(model=section.model or None, **section.options())


def open_uncached(
    section: ScorerSection, *, fingerprinted: bool, opener: Callable[[ScorerSection], Scorer] = open_section
) -> Scorer:
    """Open the scorer of a section without its cache.

    Args:
        section: which scorer.
        fingerprinted: read its files for its ``fingerprint``, as one needs whose scores processes share. That is done
            now, since they may be others later, while the scorer goes on with what it has loaded.
        opener: opens the scorer of a section.

    Raises:
        ScorerError: if a model cannot be loaded.
    """
    uncached = section.uncached()
    if not fingerprinted:
        return opener(uncached)
    from rebridge.scorers.fingerprint import fingerprint

    key = fingerprint(uncached).key
    scorer = opener(uncached)
    scorer.fingerprint = key
    return scorer


def _cached(
    section: ScorerSection,
    cache: ScoreCacheSection,
    uncached: Callable[[], Scorer] | None,
    looked: Callable[[int, int], object] | None,
) -> Scorer:
    """The scorer of a section, and a cache around it."""
    from rebridge.scorers.score_cache import CachedScorer, MemoryScores

    scorer = open_uncached(section, fingerprinted=section.shares_scores) if uncached is None else uncached()
    try:
        shared = _redis(section.name, cache, scorer.fingerprint)
    except BaseException:
        if uncached is None:
            scorer.close()
        raise
    return CachedScorer(
        scorer,
        scorer.fingerprint or secrets.token_hex(16),
        MemoryScores(cache.size, cache.ttl_s),
        shared,
        told=section.kind == "local",
        looked=looked,
        owned=uncached is None,
    )


def _redis(name: str, cache: ScoreCacheSection, fingerprint: str | None) -> RedisScores | None:
    """The scores that processes share; None if the section names no Redis, or nobody knows the weights."""
    if cache.redis is None or cache.redis_place is None:
        return None
    if fingerprint is None:  # nobody else may find such scores
        why = "its files were not read when it was loaded, and so its weights cannot be told from others"
        _log.warning("scores of %s are not kept in the Redis at %s: %s", name, cache.redis_place, why)
        return None
    try:
        from rebridge.scorers.score_cache.shared import RedisScores
    except ModuleNotFoundError as error:
        raise MissingExtra("A score cache in Redis", "redis") from error
    return RedisScores(cache.redis.get_secret_value(), cache.redis_place, cache.ttl_s)
