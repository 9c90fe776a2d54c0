"""What a recipe is: how one kind of model is scored, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.family import Family


def _never(checkpoint: Checkpoint) -> bool:
    del checkpoint
    return False


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of model is scored.

    Attributes:
        name: what ``recipe:`` in a pipeline calls it.
        describes: what it does, in a line, for people who choose one or whose model is none of them.
        loader: ``"module:function"``, imported only when needed; called as ``load(checkpoint, device=..., dtype=...,
            **settings, **options)`` it gives a `Family`.
        models: names on the hub whose official recipe this is.
        matches: whether a checkpoint's configuration alone tells that this recipe is the right one.
        architectures: the only classes of models that it is for; empty if ``matches`` says that.
        settings: the recipe's own arguments for the loader.
        options: names of the arguments that users may give; they win over settings.
    """

    name: str
    describes: str
    loader: str
    models: tuple[str, ...] = ()
    matches: Callable[[Checkpoint], bool] = _never
    architectures: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: frozenset[str] = frozenset()

    def fits(self, checkpoint: Checkpoint) -> bool:
        """Whether the recipe could be the right one, as far as the configuration tells."""
        if self.architectures:
            return checkpoint.architecture in self.architectures
        return self.matches(checkpoint)

    def load(self, checkpoint: Checkpoint, **options: Any) -> Family[Any]:
        """Import the loader and call it; given options win over settings."""
        module, _, function = self.loader.partition(":")
        family: Family[Any] = getattr(import_module(module), function)(checkpoint, **{**self.settings, **options})
        return family
