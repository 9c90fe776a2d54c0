"""The models of an evaluation: each is loaded once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rebridge.closing import Closing
from rebridge.scorers import Scorer, open_section

if TYPE_CHECKING:
    from rebridge.config import ScorerSection

#: Gives the scorer of a pipeline, open; equal sections have the same one.
Models = Callable[["ScorerSection"], Scorer]


class LoadedModels(Closing):
    """Loads models, and closes them all. Unlike those that serve, one that cannot be loaded is an error at once.

    None keeps scores, whatever its section says: an evaluation keeps them itself, and must not time scores that were
    looked up.
    """

    def __init__(self) -> None:
        self._open: dict[str, Scorer] = {}
        self._owned = ExitStack()

    def __call__(self, section: ScorerSection) -> Scorer:
        """The scorer of a pipeline.

        Raises:
            ScorerError: if it cannot be loaded.
            ConfigError: if it does not know one of the section's options.
        """
        key = section_key(section)
        if key not in self._open:
            self._open[key] = self._owned.enter_context(open_section(section.uncached()))
        return self._open[key]

    def close(self) -> None:
        """Close them. Calling it twice is allowed."""
        self._owned.close()


def section_key(section: ScorerSection) -> str:
    """Equal for sections that mean the same scorer."""
    return repr((section.kind, section.model, sorted(section.options().items())))
