"""Recipes of language models that answer whether a passage is relevant with their next token."""

from __future__ import annotations

from rebridge.scorers.recipes.recipe import Recipe

RECIPES: tuple[Recipe, ...] = ()
