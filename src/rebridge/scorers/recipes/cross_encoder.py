"""Recipes of models that read query and passage together and end in a classification head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rebridge.scorers.recipes import causal
from rebridge.scorers.recipes.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebridge.scorers.checkpoint import Checkpoint

_LOADER = "rebridge.scorers.cross_encoder.family:load"
_XLM_R = ("XLMRobertaForSequenceClassification",)
_DEBERTA = ("DebertaV2ForSequenceClassification",)
_QWEN3 = ("Qwen3ForSequenceClassification",)
_ASKED_AS = {recipe.name: recipe.settings for recipe in causal.RECIPES}


def _plain(architectures: tuple[str, ...]) -> Callable[[Checkpoint], bool]:
    """Whether a checkpoint has one label, and nothing saved by sentence-transformers, which would say how to score."""

    def matches(checkpoint: Checkpoint) -> bool:
        config = checkpoint.config
        one = len(config.get("id2label") or ()) == 1 or config.get("num_labels") == 1
        return checkpoint.architecture in architectures and one and checkpoint.saved_activation is None

    return matches


# XLM-R models look alike, so that no recipe of theirs matches by configuration.
RECIPES = (
    Recipe(
        name="mxbai-rerank-v1",
        describes="DeBERTa-v2 with one label, sigmoid, 512 tokens, as MxbaiRerankV1",
        loader=_LOADER,
        models=(
            "mixedbread-ai/mxbai-rerank-xsmall-v1",
            "mixedbread-ai/mxbai-rerank-base-v1",
            "mixedbread-ai/mxbai-rerank-large-v1",
        ),
        matches=_plain(_DEBERTA),
        architectures=_DEBERTA,
        settings={"default_max_length": 512, "normalize": True},
        options=frozenset({"max_length", "normalize"}),
    ),
    Recipe(
        name="bge-reranker",
        describes="XLM-R with one label, raw logit, query and passage cut apart at 512 tokens, as FlagReranker",
        loader="rebridge.scorers.cross_encoder.bge:load",
        models=("BAAI/bge-reranker-base", "BAAI/bge-reranker-large", "BAAI/bge-reranker-v2-m3"),
        architectures=_XLM_R,
        options=frozenset({"max_length", "query_max_length", "normalize"}),
    ),
    Recipe(
        name="bce-reranker",
        describes="XLM-R with one label, sigmoid, long passages read in overlapping windows, as BCEmbedding",
        loader="rebridge.scorers.cross_encoder.bce:load",
        models=("maidalun1020/bce-reranker-base_v1",),
        architectures=_XLM_R,
        options=frozenset({"method", "normalize"}),
    ),
    Recipe(
        name="japanese-reranker",
        describes="XLM-R with one label, sigmoid, 512 tokens, as the model's card",
        loader=_LOADER,
        models=("hotchpotch/japanese-reranker-cross-encoder-xsmall-v1",),
        architectures=_XLM_R,
        settings={"default_max_length": 512, "normalize": True},
        options=frozenset({"max_length", "normalize"}),
    ),
    Recipe(
        name="qwen3-reranker-seq-cls",
        describes="Qwen3-Reranker with one label, sigmoid, texts set into its chat with an instruction",
        loader="rebridge.scorers.cross_encoder.qwen:load",
        models=("tomaarsen/Qwen3-Reranker-0.6B-seq-cls",),
        matches=_plain(_QWEN3),
        architectures=_QWEN3,
        settings=_ASKED_AS["qwen3-reranker"],
        options=frozenset({"max_length", "instruction", "normalize"}),
    ),
    Recipe(
        name="cross-encoder",
        describes="sequence classification with 1 or 2 labels (architectures: ...ForSequenceClassification), scored "
        "as sentence-transformers does; of 2 labels the logit of the second",
        loader=_LOADER,
        models=(
            "cross-encoder/ms-marco-MiniLM-L6-v2",
            "Alibaba-NLP/gte-reranker-modernbert-base",
            "amberoad/bert-multilingual-passage-reranking-msmarco",
        ),
        matches=lambda checkpoint: checkpoint.architecture.endswith("ForSequenceClassification"),
        options=frozenset({"max_length", "normalize"}),
    ),
)
