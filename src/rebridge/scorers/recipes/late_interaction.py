"""Recipes of models that compare every token of the query with every token of the passage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rebridge.scorers.options import KEEPING
from rebridge.scorers.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint


def _is_colbert(checkpoint: Checkpoint) -> bool:
    if checkpoint.architecture == "HF_ColBERT":
        return True
    if not checkpoint.modules:
        return False
    settings = checkpoint.read_object("config_sentence_transformers.json", optional=True)
    return settings.get("model_type") == "ColBERT" or checkpoint.module_types[:2] == ["Transformer", "Dense"]


RECIPES = (
    Recipe(
        name="colbert",
        describes="late interaction of tokens (modules.json: Transformer, Dense ...; or architectures: HF_ColBERT)",
        loader="rebridge.scorers.late_interaction.family:load",
        models=(
            "mixedbread-ai/mxbai-edge-colbert-v0-17m",
            "mixedbread-ai/mxbai-edge-colbert-v0-32m",
            "answerdotai/answerai-colbert-small-v1",
        ),
        matches=_is_colbert,
        options=frozenset({"query_length", "document_length"}) | KEEPING,
    ),
)
