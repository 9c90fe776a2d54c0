"""The registry of recipes. A model of a known kind needs one entry in one of these modules."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.recipes import bi_encoder, causal, cross_encoder, late_interaction
from rebridge.scorers.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

__all__ = ["RECIPES", "Choice", "Recipe", "choose", "recipe_of"]

_log = logging.getLogger("rebridge")

# Where a configuration matches several recipes, the first is taken.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for module in (late_interaction, cross_encoder, causal, bi_encoder) for recipe in module.RECIPES
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A recipe and why it was chosen.

    Attributes:
        recipe: how the model is scored.
        reason: why, as a part of a sentence.
        assumed: whether that is a conclusion of ours, rather than the user's word or a model known by its name.
    """

    recipe: Recipe
    reason: str
    assumed: bool = False


def recipe_of(model: str) -> Recipe | None:
    """The recipe of a model known by its name on the hub; None for other models."""
    named = (recipe for recipe in RECIPES.values() if model.lower() in map(str.lower, recipe.models))
    return next(named, None)


def choose(checkpoint: Checkpoint, name: str | None = None) -> Choice:
    """The recipe that is named, else by the model's name on the hub, else by traces of that name, else by its config.

    The last two are assumptions, which are logged as warnings.

    Raises:
        ConfigError: if there is no recipe of that name, or it is for another kind of model.
        UnsupportedModel: if none fits; the message lists them.
    """
    if name is not None:
        return Choice(_named(checkpoint, name), "as asked")
    known = recipe_of(checkpoint.name)
    if known is not None:
        return Choice(known, "known by its name")
    choice = _by_trace(checkpoint) or _by_config(checkpoint)
    if choice is None:
        raise UnsupportedModel(_unsupported(checkpoint))
    _log.warning(
        "%s: scored by the recipe %r (%s), because %s%s",
        checkpoint.name, choice.recipe.name, choice.recipe.describes, choice.reason, _others(checkpoint, choice.recipe),
    )  # fmt: skip
    return choice


def _named(checkpoint: Checkpoint, name: str) -> Recipe:
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}; recipes are: {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    if recipe.architectures and not recipe.fits(checkpoint):
        wanted = " or ".join(recipe.architectures)
        raise ConfigError(f"the recipe {name!r} is for {wanted}; {checkpoint.name} is a {checkpoint.architecture}")
    return recipe


def _by_trace(checkpoint: Checkpoint) -> Choice | None:
    """By the name of its folder, or the name that transformers noted when it saved a copy.

    A model that sentence-transformers has saved with an activation carries its own rules and is no mere copy.
    """
    if checkpoint.saved_activation is not None:
        return None
    origin = str(checkpoint.config.get("_name_or_path", ""))
    for recipe in RECIPES.values():
        for model in recipe.models if recipe.fits(checkpoint) else ():
            if model.rpartition("/")[2].lower() == checkpoint.path.name.lower():
                return Choice(recipe, f"its folder is called {checkpoint.path.name}", assumed=True)
            if f"models--{model.replace('/', '--')}" in checkpoint.path.parts:
                return Choice(recipe, f"its folder is the hub cache's for {model}", assumed=True)
            if model.lower() == origin.lower():
                return Choice(recipe, f"its config.json says that it comes from {model}", assumed=True)
    return None


def _by_config(checkpoint: Checkpoint) -> Choice | None:
    for recipe in RECIPES.values():
        if recipe.matches(checkpoint):
            return Choice(recipe, f"its architecture is {checkpoint.architecture}", assumed=True)
    return None


def _others(checkpoint: Checkpoint, chosen: Recipe) -> str:
    """What else the user may want to say, because the configuration cannot tell."""
    names = [
        recipe.name
        for recipe in RECIPES.values()
        if recipe is not chosen and recipe.architectures and recipe.fits(checkpoint)
    ]
    return f"; if it is a copy of another model, name its recipe: {', '.join(names)}" if names else ""


def _unsupported(checkpoint: Checkpoint) -> str:
    found = f"architecture {checkpoint.architecture}"
    if checkpoint.modules:
        found += f", modules {', '.join(checkpoint.module_types)}"
    if "auto_map" in checkpoint.config:
        found += ", which needs code from the hub; that is never run"
    known = "\n".join(f"  - {recipe.name}: {recipe.describes}" for recipe in RECIPES.values())
    return f"{checkpoint.name} is none of the supported kinds of model ({found}):\n{known}"
