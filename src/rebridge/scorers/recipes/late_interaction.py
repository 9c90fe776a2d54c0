"""Recipes of models that compare every token of the query with every token of the passage."""

from __future__ import annotations

from rebridge.scorers.recipes.recipe import Recipe

RECIPES: tuple[Recipe, ...] = ()
