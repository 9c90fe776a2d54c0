"""From the `scorer:` section of a pipeline to a scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rebridge.errors import MissingExtra
from rebridge.scorers.opening import open_scorer

if TYPE_CHECKING:
    from rebridge.config import ScorerSection
    from rebridge.scorers.base import Scorer


def open_section(section: ScorerSection) -> Scorer:
    """Open what a section describes: load a model, or prepare to ask a peer, which may be down as yet.

    Raises:
        ScorerError: if a model cannot be loaded.
        ConfigError: if an option is unknown or its value impossible.
        MissingExtra: if a remote scorer's packages are not installed.
    """
    if section.kind == "local":
        return open_scorer(section.model, **section.options())
    try:
        from rebridge.scorers.remote import RemoteScorer
    except ModuleNotFoundError as error:
        raise MissingExtra("A remote scorer", "server") from error
    return RemoteScorer(model=section.model or None, **section.options())
