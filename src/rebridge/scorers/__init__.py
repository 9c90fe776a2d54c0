"""Scorers: (query, passages) -> floats. Importing this package loads no machine-learning library."""

from __future__ import annotations

from rebridge.scorers.base import Activation, Scorer, activate
from rebridge.scorers.fake import FakeScorer
from rebridge.scorers.hub import DEFAULT_MODEL
from rebridge.scorers.opening import open_scorer
from rebridge.scorers.sections import open_section

__all__ = ["DEFAULT_MODEL", "Activation", "FakeScorer", "Scorer", "activate", "open_scorer", "open_section"]
