"""The registry of recipes. A model of a known kind needs one entry in one of these modules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.recipes import bi_encoder, causal, cross_encoder, late_interaction
from rebridge.scorers.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

__all__ = ["RECIPES", "Recipe", "choose"]

_log = logging.getLogger("rebridge")

# Where a configuration matches several recipes, the first is taken.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for module in (late_interaction, cross_encoder, causal, bi_encoder) for recipe in module.RECIPES
}


def choose(checkpoint: Checkpoint, name: str | None = None) -> Recipe:
    """The recipe of a model: the one that is named, else by its name on the hub, else by its configuration.

    Raises:
        ConfigError: if there is no recipe of that name.
        UnsupportedModel: if none fits; the message lists them.
    """
    if name is not None:
        if name not in RECIPES:
            raise ConfigError(f"there is no recipe {name!r}; recipes are: {', '.join(RECIPES)}")
        return RECIPES[name]
    for recipe in RECIPES.values():
        if checkpoint.name.lower() in {model.lower() for model in recipe.models}:
            return recipe
    for recipe in RECIPES.values():
        if recipe.matches(checkpoint):
            _log.info(
                "%s: not a known model; scored by the recipe %r: %s", checkpoint.name, recipe.name, recipe.describes
            )
            return recipe
    found = f"architecture {checkpoint.architecture}"
    if checkpoint.modules:
        found += f", modules {', '.join(checkpoint.module_types)}"
    if "auto_map" in checkpoint.config:
        found += ", which needs code from the hub; that is never run"
    known = "\n".join(f"  - {recipe.name}: {recipe.describes}" for recipe in RECIPES.values())
    raise UnsupportedModel(f"{checkpoint.name} is none of the supported kinds of model ({found}):\n{known}")
