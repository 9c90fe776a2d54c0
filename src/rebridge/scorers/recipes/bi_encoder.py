"""Recipes of models that read query and passage apart and compare one embedding of each."""

from __future__ import annotations

from rebridge.scorers.options import KEEPING
from rebridge.scorers.recipes.recipe import Recipe

RECIPES = (
    Recipe(
        name="bi-encoder",
        describes="sentence-transformers layout (modules.json: Transformer, Pooling, optionally Dense, Normalize)",
        loader="rebridge.scorers.bi_encoder:load",
        models=("sentence-transformers/all-MiniLM-L6-v2",),
        matches=lambda checkpoint: checkpoint.module_types[:2] == ["Transformer", "Pooling"],
        options=frozenset({"max_length"}) | KEEPING,
    ),
)
