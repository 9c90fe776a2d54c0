"""Recipes of models that read query and passage together and end in a classification head."""

from __future__ import annotations

from rebridge.scorers.recipes.recipe import Recipe

_LOADER = "rebridge.scorers.cross_encoder:load"

RECIPES = (
    Recipe(
        name="cross-encoder",
        describes="sequence classification with 1 or 2 labels (architectures: ...ForSequenceClassification)",
        loader=_LOADER,
        matches=lambda checkpoint: checkpoint.architecture.endswith("ForSequenceClassification"),
        options=frozenset({"max_length"}),
    ),
)
