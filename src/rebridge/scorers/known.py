"""Models that are known to work, for people who choose one. Any other model of the same families works too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What the publisher says of a model.

    Attributes:
        name: hub id.
        family: how it scores.
        parameters: millions.
        context: tokens of query and passage together that its official code reads by default.
        languages: languages that it was trained for.
        licence: SPDX id.
        published: the publisher's own relevance figure and what it was measured on; scores on different benchmarks
            do not compare.
    """

    name: str
    family: str
    parameters: float
    context: int
    languages: str
    licence: str
    published: str


_CROSS, _BI = "cross-encoder", "bi-encoder"

KNOWN_MODELS = (
    KnownModel("sentence-transformers/all-MiniLM-L6-v2", _BI, 22.7, 256, "en", "Apache-2.0", ""),
    KnownModel("mixedbread-ai/mxbai-rerank-xsmall-v1", _CROSS, 70.8, 512, "en", "Apache-2.0", "43.9 nDCG@10, BEIR-11"),
    KnownModel("mixedbread-ai/mxbai-rerank-base-v1", _CROSS, 184.4, 512, "en", "Apache-2.0", "46.9 nDCG@10, BEIR-11"),
    KnownModel("mixedbread-ai/mxbai-rerank-large-v1", _CROSS, 435.1, 512, "en", "Apache-2.0", "48.8 nDCG@10, BEIR-11"),
    KnownModel("BAAI/bge-reranker-base", _CROSS, 278.0, 512, "zh, en", "MIT", "65.42 average, C-MTEB reranking"),
    KnownModel("BAAI/bge-reranker-large", _CROSS, 559.9, 512, "zh, en", "MIT", "66.09 average, C-MTEB reranking"),
    KnownModel("BAAI/bge-reranker-v2-m3", _CROSS, 567.8, 512, "multilingual", "Apache-2.0", "57.03, MTEB-R (Qwen)"),
    KnownModel(
        "maidalun1020/bce-reranker-base_v1",
        _CROSS,
        278.0,
        512,
        "en, zh, ja, ko",
        "Apache-2.0",
        "61.29 average of 12 sets",
    ),
    KnownModel(
        "hotchpotch/japanese-reranker-cross-encoder-xsmall-v1", _CROSS, 107.0, 512, "ja", "MIT", "0.6136, JQaRA"
    ),
    KnownModel(
        "amberoad/bert-multilingual-passage-reranking-msmarco", _CROSS, 167.4, 512, "multilingual", "Apache-2.0", ""
    ),
    KnownModel(
        "cross-encoder/ms-marco-MiniLM-L6-v2", _CROSS, 22.7, 512, "en", "Apache-2.0", "39.01 MRR@10, MS MARCO dev"
    ),
    KnownModel(
        "Alibaba-NLP/gte-reranker-modernbert-base", _CROSS, 149.6, 8192, "en", "Apache-2.0", "56.19 nDCG@10, BEIR"
    ),
)
