"""Checkpoints for `bench_scorers`: published shapes and random weights, and what their matrix products cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LARGE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
_DEBERTA = {
    "relative_attention": True,
    "position_buckets": 256,
    "max_relative_positions": -1,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "type_vocab_size": 0,
}
#: Class of the configuration, and what it says of a published model's shape.
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "mxbai-rerank-xsmall-v1": ("DebertaV2Config", _SMALL | _DEBERTA),
    "mxbai-rerank-base-v1": ("DebertaV2Config", _LARGE | _DEBERTA),
    "ms-marco-MiniLM-L6-v2": ("BertConfig", _SMALL | {"num_hidden_layers": 6, "num_attention_heads": 12}),
    "bge-reranker-base": ("XLMRobertaConfig", _LARGE | {"max_position_embeddings": 514, "type_vocab_size": 2}),
    "gte-reranker-modernbert-base": (
        "ModernBertConfig",
        _LARGE | {"num_hidden_layers": 22, "intermediate_size": 1152, "max_position_embeddings": 8192},
    ),
}


def build(folder: Path, name: str) -> None:
    """Write a checkpoint."""
    import torch
    import transformers

    from rebridge.scorers import DEFAULT_MODEL
    from rebridge.scorers.hub import locate

    tokenizer = transformers.AutoTokenizer.from_pretrained(locate(DEFAULT_MODEL, local_files_only=True).path)
    tokenizer.model_max_length = 512
    kind, shape = SHAPES[name]
    special = {"bos_token_id": 101, "eos_token_id": 102, "cls_token_id": 101, "sep_token_id": 102}
    config = getattr(transformers, kind)(vocab_size=len(tokenizer), pad_token_id=0, num_labels=1, **special, **shape)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:  # wider than random weights usually are, so that scores differ
                weight.normal_(0.0, 0.04)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def gflop(name: str, lengths: list[int]) -> float:
    """Multiplications and additions in the matrix products of inputs of these lengths, in thousands of millions.

    Per token and layer those with the weights; per pair of tokens the products of attention, of which DeBERTa's have
    2 L - 1 positions' keys and queries each beside L keys.
    """
    kind, shape = SHAPES[name]
    width, inner, layers = (shape[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    gates = 3 if kind == "ModernBertConfig" else 2
    weights = 4 * width * width + gates * width * inner
    positions = (lambda length: 2 * (2 * length - 1)) if kind == "DebertaV2Config" else (lambda _: 0)
    per_input = (length * (weights + width * (2 * length + positions(length))) for length in lengths)
    return sum(per_input) * 2 * layers / 1e9


def lengths_of(folder: Path, work: list[tuple[str, list[str]]]) -> list[int]:
    """Tokens of all inputs."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = [(query, passage) for query, passages in work for passage in passages]
    return [len(row) for row in tokenizer(pairs, truncation="longest_first", max_length=512)["input_ids"]]
