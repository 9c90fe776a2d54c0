"""Models that are known to work, for people who choose one. Any other model of the same families works too."""

from __future__ import annotations

from dataclasses import dataclass

from rebridge.scorers.recipes import recipe_of


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What the publisher says of a model.

    Attributes:
        name: hub id.
        parameters: millions.
        context: tokens that its official code reads by default: of query and passage together, of the passage alone
            where both are read apart, of one window where long passages are read in windows.
        languages: languages that it was trained for.
        licence: SPDX id.
        published: the publisher's own relevance figure and what it was measured on; scores on different benchmarks
            do not compare.
    """

    name: str
    parameters: float
    context: int
    languages: str
    licence: str
    published: str

    @property
    def recipe(self) -> str:
        """Name of the recipe that scores it."""
        recipe = recipe_of(self.name)
        if recipe is None:
            raise LookupError(f"no recipe names {self.name}")
        return recipe.name


KNOWN_MODELS = (
    KnownModel("sentence-transformers/all-MiniLM-L6-v2", 22.7, 256, "en", "Apache-2.0", ""),
    KnownModel("mixedbread-ai/mxbai-rerank-xsmall-v1", 70.8, 512, "en", "Apache-2.0", "43.9 nDCG@10, BEIR-11"),
    KnownModel("mixedbread-ai/mxbai-rerank-base-v1", 184.4, 512, "en", "Apache-2.0", "46.9 nDCG@10, BEIR-11"),
    KnownModel("mixedbread-ai/mxbai-rerank-large-v1", 435.1, 512, "en", "Apache-2.0", "48.8 nDCG@10, BEIR-11"),
    KnownModel("mixedbread-ai/mxbai-rerank-base-v2", 494.0, 8192, "multilingual", "Apache-2.0", "55.57 nDCG@10, BEIR"),
    KnownModel(
        "mixedbread-ai/mxbai-rerank-large-v2", 1543.7, 8192, "multilingual", "Apache-2.0", "57.49 nDCG@10, BEIR"
    ),
    KnownModel("mixedbread-ai/mxbai-edge-colbert-v0-17m", 17.0, 512, "en", "Apache-2.0", "0.6405 nDCG@10, NanoBEIR"),
    KnownModel("mixedbread-ai/mxbai-edge-colbert-v0-32m", 31.9, 512, "en", "Apache-2.0", "0.6524 nDCG@10, NanoBEIR"),
    KnownModel("answerdotai/answerai-colbert-small-v1", 33.4, 300, "en", "Apache-2.0", ""),
    KnownModel("BAAI/bge-reranker-base", 278.0, 512, "zh, en", "MIT", "65.42 average, C-MTEB reranking"),
    KnownModel("BAAI/bge-reranker-large", 559.9, 512, "zh, en", "MIT", "66.09 average, C-MTEB reranking"),
    KnownModel("BAAI/bge-reranker-v2-m3", 567.8, 512, "multilingual", "Apache-2.0", "57.03, MTEB-R (Qwen)"),
    KnownModel("BAAI/bge-reranker-v2-gemma", 2506.2, 512, "multilingual", "Apache-2.0", ""),
    KnownModel("BAAI/bge-reranker-v2-minicpm-layerwise", 2720.0, 512, "multilingual", "Apache-2.0", ""),
    KnownModel(
        "maidalun1020/bce-reranker-base_v1", 278.0, 512, "en, zh, ja, ko", "Apache-2.0", "61.29 average of 12 sets"
    ),
    KnownModel("hotchpotch/japanese-reranker-cross-encoder-xsmall-v1", 107.0, 512, "ja", "MIT", "0.6136, JQaRA"),
    KnownModel("amberoad/bert-multilingual-passage-reranking-msmarco", 167.4, 512, "multilingual", "Apache-2.0", ""),
    KnownModel("cross-encoder/ms-marco-MiniLM-L6-v2", 22.7, 512, "en", "Apache-2.0", "39.01 MRR@10, MS MARCO dev"),
    KnownModel("Alibaba-NLP/gte-reranker-modernbert-base", 149.6, 8192, "en", "Apache-2.0", "56.19 nDCG@10, BEIR"),
    KnownModel("Qwen/Qwen3-Reranker-0.6B", 595.8, 8192, "multilingual", "Apache-2.0", "65.80, MTEB-R"),
    KnownModel("tomaarsen/Qwen3-Reranker-0.6B-seq-cls", 595.8, 8192, "multilingual", "Apache-2.0", "65.80, MTEB-R"),
)
