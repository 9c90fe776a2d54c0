"""The table of fixtures: which checkpoint, which repositories it stands for, who scores it, on what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checkpoints import decoders, encoders, late_interaction
from inputs import MARS, ODD, PLANETS, QUERY, WORDS, Case, case, common, join, long_passages, repeat
from official import bce, colbert, cross_encoder, flag, mxbai, plain, qwen


@dataclass(frozen=True)
class Fixture:
    """One tiny checkpoint with its cases."""

    key: str
    stands_for: tuple[str, ...]
    write: Callable[..., None]
    official: str
    open: Callable[..., Any]
    cases: list[dict[str, Any]]


WORDY = repeat("which planet is red, and why is it so? ", 60)
FEW = [*PLANETS, "", "a"]


def under_limit(max_length: int, template: int = 0) -> list[Case]:
    """Return the cases of a smaller limit, which counts as many tokens of a template."""
    name = f"max_length {max_length}"
    return [
        case(name, QUERY, long_passages(60), max_length=max_length),
        case(f"{name}, long query", WORDY, [*PLANETS, ""], max_length=max_length),
        case(f"{name}, around it", QUERY, around(max_length - template), max_length=max_length),
    ]


def around(limit: int) -> list[Any]:
    """Return passages of about as many tokens as the limit, some under it, some over."""
    return [repeat("a ", times) for times in range(limit - 32, limit + 4)]


def with_method(cases: list[Case], method: str) -> list[Case]:
    """Return the cases under one of BCEmbedding's entry points."""
    return [{**each, "name": f"{method}: {each['name']}", "options": {"method": method}} for each in cases]


def bce_windows() -> list[Case]:
    """Return the cases of `rerank`, among them overlapping windows of the same text in another order.

    One blank passage makes the official code fail, so the odd passages come once with and once without.
    """
    parts = [repeat(f"{word} of the red planet. ", 6) for word in WORDS[:28]]
    passages = [join(*parts[place:], *parts[:place]) for place in (0, 7, 14, 21)] + [MARS]
    return [
        *common(60),
        case("odd passages but blank ones", QUERY, [odd for odd in ODD if odd.strip() or not odd]),
        case("windows", QUERY, passages),
        case("windows, one passage", QUERY, passages[2:3]),
        case("windows, query of half the limit", repeat("which planet is red? ", 32), passages),
        case("windows, around one window", QUERY, around(512)),
        case("only empty passages", QUERY, ["", ""]),
    ]


def minicpm_layers() -> list[Case]:
    """Return the cases of several heads."""
    named = {
        "first layer": [2],
        "middle layer": [4],
        "several layers": [2, 4, 6],
        "outside ones dropped": [1, 3, 99],
        "all outside": [1, 99],
    }
    odd = [case(f"cutoff: {name}", QUERY, FEW, cutoff_layers=layers) for name, layers in named.items()]
    return [
        *odd,
        case("cutoff: several layers, normalised", QUERY, FEW, cutoff_layers=[3, 6], normalize=True),
        case("cutoff: layer 3 of odd passages", QUERY, ODD, cutoff_layers=[3]),
        case("cutoff: layer 5, long passages", QUERY, long_passages(60), cutoff_layers=[5]),
    ]


FIXTURES = (
    Fixture(
        "deberta",
        tuple(f"mixedbread-ai/mxbai-rerank-{size}-v1" for size in ("xsmall", "base", "large")),
        encoders.deberta,
        mxbai.V1,
        mxbai.open_v1,
        common(60),
    ),
    Fixture(
        "qwen2",
        ("mixedbread-ai/mxbai-rerank-base-v2", "mixedbread-ai/mxbai-rerank-large-v2"),
        decoders.qwen2,
        mxbai.V2,
        mxbai.open_v2,
        [
            *common(250),
            case("normalised", QUERY, FEW, normalize=True),
            case("normalised as base-v2", QUERY, FEW, normalize=True, estimated_max=9.0),
            case("instruction", QUERY, FEW, instruction="Prefer cold planets.\nIgnore moons."),
            case("instruction, long query", WORDY, FEW, instruction="Prefer cold planets.", max_length=200),
            case("empty instruction", QUERY, PLANETS, instruction=""),
            *under_limit(200),
            case("max_length clamped", QUERY, long_passages(250), max_length=32768),
            case("max_length clamped, long query", repeat("why is Mars red? ", 600), PLANETS, max_length=2000),
        ],
    ),
    Fixture(
        "edge-colbert",
        ("mixedbread-ai/mxbai-edge-colbert-v0-17m", "mixedbread-ai/mxbai-edge-colbert-v0-32m"),
        late_interaction.edge_colbert,
        colbert.NAME,
        colbert.open_model,
        [
            *common(60),
            case("other lengths", QUERY, long_passages(60), query_length=12, document_length=40),
            case("long documents", QUERY, long_passages(60), document_length=900),
        ],
    ),
    Fixture(
        "edge-colbert-residual",
        (),  # no published model that we know of; PyLate can write it
        late_interaction.edge_colbert_residual,
        colbert.NAME,
        colbert.open_model,
        common(60)[:-1],
    ),
    Fixture(
        "answerai-colbert",
        ("answerdotai/answerai-colbert-small-v1",),
        late_interaction.answerai_colbert,
        colbert.NAME,
        colbert.open_model,
        [*common(60), case("other lengths", QUERY, long_passages(60), query_length=12, document_length=40)],
    ),
    Fixture(
        "xlm-r",
        ("BAAI/bge-reranker-base", "BAAI/bge-reranker-large", "BAAI/bge-reranker-v2-m3"),
        encoders.xlm_r,
        flag.PLAIN,
        flag.open_plain,
        [
            *common(60),
            case("normalised", QUERY, FEW, normalize=True),
            *under_limit(64),
            case("query_max_length", WORDY, PLANETS, query_max_length=16),
        ],
    ),
    Fixture(
        "gemma",
        ("BAAI/bge-reranker-v2-gemma",),
        decoders.gemma,
        flag.GEMMA,
        flag.open_gemma,
        [*common(60), case("normalised", QUERY, FEW, normalize=True), *under_limit(64)],
    ),
    Fixture(
        "minicpm",
        ("BAAI/bge-reranker-v2-minicpm-layerwise",),
        decoders.minicpm,
        flag.LAYERWISE,
        flag.open_layerwise,
        [*common(60), *minicpm_layers(), *under_limit(64)],
    ),
    Fixture(
        "bce",
        ("maidalun1020/bce-reranker-base_v1",),
        encoders.bce,
        bce.NAME,
        bce.open_model,
        [*with_method(common(60), "compute_score"), *with_method(bce_windows(), "rerank")],
    ),
    Fixture(
        "japanese",
        ("hotchpotch/japanese-reranker-cross-encoder-xsmall-v1",),
        encoders.japanese,
        f"{cross_encoder.NAME}, max_length=512",
        lambda folder: cross_encoder.open_model(folder, max_length=512),
        common(60),
    ),
    Fixture(
        "amberoad",
        ("amberoad/bert-multilingual-passage-reranking-msmarco",),
        encoders.amberoad,
        plain.AMBEROAD,
        plain.open_amberoad,
        [*common(60), *under_limit(64)],
    ),
    Fixture(
        "minilm",
        ("cross-encoder/ms-marco-MiniLM-L6-v2",),
        encoders.minilm,
        cross_encoder.NAME,
        cross_encoder.open_model,
        [*common(60), case("sigmoid asked for", QUERY, FEW, activation_fn="Sigmoid"), *under_limit(64)],
    ),
    Fixture(
        "gte-modernbert",
        ("Alibaba-NLP/gte-reranker-modernbert-base",),
        encoders.gte_modernbert,
        f"{cross_encoder.NAME}; with raw: the model card's transformers code",
        plain.open_gte,
        [*common(120), case("raw", QUERY, FEW, raw=True), case("raw, long", QUERY, long_passages(120), raw=True)],
    ),
    Fixture(
        "qwen3",
        ("Qwen/Qwen3-Reranker-0.6B",),
        decoders.qwen3,
        qwen.CAUSAL,
        qwen.open_causal,
        [
            *common(60),
            case("raw", QUERY, FEW, raw=True),
            case("instruction", QUERY, FEW, instruction="Prefer cold planets.\nIgnore moons."),
            *under_limit(400, template=111),
        ],
    ),
    Fixture(
        "qwen3-seq-cls",
        ("tomaarsen/Qwen3-Reranker-0.6B-seq-cls",),
        decoders.qwen3_seq_cls,
        qwen.SEQ_CLS,
        qwen.open_seq_cls,
        [
            *common(60),
            case("raw", QUERY, FEW, activation_fn="Identity"),
            case("instruction", QUERY, FEW, instruction="Prefer cold planets.\nIgnore moons."),
        ],
    ),
)
