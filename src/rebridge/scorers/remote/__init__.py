"""Scorers behind HTTP: another rebridge, or a server or service that speaks a known rerank API."""

from __future__ import annotations

from rebridge.scorers.remote.dialects import DIALECTS, Dialect
from rebridge.scorers.remote.scorer import RemoteScorer

__all__ = ["DIALECTS", "Dialect", "RemoteScorer"]
