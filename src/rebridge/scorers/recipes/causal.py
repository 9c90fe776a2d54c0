"""Recipes of language models that answer whether a passage is relevant with their next token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rebridge.scorers.causal.prompts import ChatTexts, PairTexts
from rebridge.scorers.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

# Source: mxbai-rerank 0.1.6, mxbai_rerank_v2.py.
_MXBAI = PairTexts(
    lead="<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n",
    instruction="instruction: {instruction}\n",
    query="query: {query}",
    passage="document: {passage}",
    task="You are a search relevance expert who evaluates how well documents match search queries. For each "
    "query-document pair, carefully analyze the semantic relationship between them, then provide your binary relevance "
    "judgment (0 for not relevant, 1 for relevant).\nRelevance:",
    suffix="<|im_end|>\n<|im_start|>assistant\n",
)

# Source: FlagEmbedding 1.4.2, inference/reranker/decoder_only: base.py, and layerwise.py, which does not ask about
# the padding.
_BGE = {
    "query": "A: {query}",
    "passage": "B: {passage}",
    "task": "Given a query A and a passage B, determine whether the passage contains an answer to the query by "
    "providing a prediction of either 'Yes' or 'No'.",
}
_GEMMA = PairTexts(**_BGE, bos="unless_padding", task_extends=True)
_LAYERWISE = PairTexts(**_BGE, bos="always", task_extends=True)

# Source: the README of Qwen3-Reranker.
_QWEN3 = ChatTexts(
    lead="<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
    body="<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {passage}",
    suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)


def _embeds(checkpoint: Checkpoint) -> bool:
    """Models that sentence-transformers made embeddings of keep the architecture's name."""
    return "Pooling" in checkpoint.module_types


# Chat models have the architectures and the very sizes of these rerankers, so that only a name tells them apart.
RECIPES = (
    Recipe(
        name="mxbai-rerank-v2",
        describes="Qwen2 that answers 1 or 0 (chat models look alike: name the recipe for a copy)",
        loader="rebridge.scorers.causal.loading:load_mxbai",
        models=("mixedbread-ai/mxbai-rerank-base-v2", "mixedbread-ai/mxbai-rerank-large-v2"),
        architectures=("Qwen2ForCausalLM",),
        settings={"texts": _MXBAI, "estimated_maxima": {"mixedbread-ai/mxbai-rerank-base-v2": 9.0, "": 12.0}},
        options=frozenset({"max_length", "instruction", "normalize", "estimated_max"}),
    ),
    Recipe(
        name="bge-reranker-gemma",
        describes="Gemma that answers Yes (chat models look alike: name the recipe for a copy)",
        loader="rebridge.scorers.causal.loading:load_bge",
        models=("BAAI/bge-reranker-v2-gemma",),
        architectures=("GemmaForCausalLM",),
        settings={"texts": _GEMMA},
        options=frozenset({"max_length", "query_max_length", "normalize"}),
    ),
    Recipe(
        name="bge-reranker-layerwise",
        describes="MiniCPM with a head after each later layer (architectures: LayerWiseMiniCPMForCausalLM)",
        loader="rebridge.scorers.causal.layerwise:load",
        models=("BAAI/bge-reranker-v2-minicpm-layerwise",),
        matches=lambda checkpoint: checkpoint.architecture == "LayerWiseMiniCPMForCausalLM",
        architectures=("LayerWiseMiniCPMForCausalLM",),
        settings={"texts": _LAYERWISE},
        options=frozenset({"cutoff_layers", "max_length", "query_max_length", "normalize"}),
    ),
    Recipe(
        name="qwen3-reranker",
        describes="Qwen3 that answers yes or no (chat models look alike: name the recipe for a copy)",
        loader="rebridge.scorers.causal.loading:load_qwen3",
        models=("Qwen/Qwen3-Reranker-0.6B", "Qwen/Qwen3-Reranker-4B", "Qwen/Qwen3-Reranker-8B"),
        architectures=("Qwen3ForCausalLM",),
        settings={
            "texts": _QWEN3,
            "instruction": "Given a web search query, retrieve relevant passages that answer the query",
        },
        options=frozenset({"max_length", "instruction", "normalize"}),
    ),
    Recipe(
        name="causal-yes-no",
        describes="any language model (architectures: ...ForCausalLM), only with a template of your own: "
        "template='...{query}...{passage}...', positive='yes', negative='no'",
        loader="rebridge.scorers.causal.loading:load_template",
        # Without a template the loader says which recipes there are and how to give one.
        matches=lambda checkpoint: checkpoint.architecture.endswith("ForCausalLM") and not _embeds(checkpoint),
        options=frozenset({"template", "positive", "negative", "instruction", "max_length", "normalize"}),
    ),
)
