"""Keeping scores, so that a model reads no passage twice for the same query."""

from __future__ import annotations

from rebridge.scorers.score_cache.memory import MemoryScores
from rebridge.scorers.score_cache.scorer import CachedScorer

__all__ = ["CachedScorer", "MemoryScores"]
