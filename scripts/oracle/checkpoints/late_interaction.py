"""ColBERT models in PyLate's and in Stanford's layout."""

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import torch
import vocabularies
from files import edit_config, fill, fresh, save_tensors, save_tokenizer, tidy, write_json
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel

from checkpoints.encoders import SIZES, modern_bert_options


def edge_colbert(folder: Path) -> None:
    """mxbai-edge-colbert-v0: ModernBERT and two Dense heads without bias, activation or residual."""
    _pylate_model(folder, [{"in_features": 32, "out_features": 64}, {"in_features": 64, "out_features": 16}], seed=11)


def edge_colbert_residual(folder: Path) -> None:
    """The same with every other thing that a Dense module can do: bias, activation and both kinds of residual."""
    heads = [
        {"in_features": 32, "out_features": 24, "use_residual": True},
        {"in_features": 24, "out_features": 24, "use_residual": True, "bias": True, "activation": torch.nn.Tanh()},
    ]
    _pylate_model(folder, heads, seed=12)


def answerai_colbert(folder: Path) -> None:
    """answerai-colbert-small-v1: BERT under `bert.`, the head as `linear.weight`, lengths in `artifact.metadata`."""
    folder = fresh(folder)
    tokenizer = vocabularies.bert()
    config = BertConfig(**SIZES, vocab_size=len(tokenizer), max_position_embeddings=512, pad_token_id=0)
    bert = fill(BertModel(config), seed=13)
    head = fill(torch.nn.Linear(32, 16, bias=False), seed=14)
    bert.config.save_pretrained(folder)
    edit_config(folder, architectures=["HF_ColBERT"], torch_dtype="float32")
    tensors = {f"bert.{name}": tensor for name, tensor in bert.state_dict().items()}
    save_tensors({**tensors, "linear.weight": head.weight}, folder)
    save_tokenizer(tokenizer, folder)
    write_json(
        folder / "artifact.metadata",
        {
            "query_token_id": "[unused0]",
            "doc_token_id": "[unused1]",
            "query_token": "[Q]",
            "doc_token": "[D]",
            "query_maxlen": 32,
            "doc_maxlen": 300,
            "attend_to_mask_tokens": False,
            "mask_punctuation": True,
            "interaction": "colbert",
            "similarity": "cosine",
            "dim": 16,
        },
    )


def _pylate_model(folder: Path, heads: list[dict[str, Any]], *, seed: int) -> None:
    from pylate.models import ColBERT

    model = ColBERT(
        modules=[_backbone(), *map(_dense, heads)],
        device="cpu",
        query_prefix="[Q] ",
        document_prefix="[D] ",
        query_length=48,
        document_length=512,
        do_query_expansion=False,
        attend_to_expansion_tokens=False,
        skiplist_words=list(string.punctuation),
    )
    fill(model, seed=seed)
    model[0].max_seq_length = 511
    folder = fresh(folder)
    model.save(str(folder), create_model_card=False)
    edit_config(folder)
    tidy(folder)
    _sort_keys(folder / "config_sentence_transformers.json")


def _backbone() -> Any:
    from sentence_transformers.models import Transformer

    tokenizer = vocabularies.modern_bert(max_length=7999)
    config = ModernBertConfig(**modern_bert_options(tokenizer), max_position_embeddings=7999)
    with tempfile.TemporaryDirectory() as folder:
        ModernBertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return Transformer(folder, max_seq_length=511, do_lower_case=True)


def _dense(head: dict[str, Any]) -> Any:
    from pylate.models import Dense

    head = dict(head)
    activation = head.pop("activation", torch.nn.Identity())
    return Dense(**{"bias": False, **head}, activation_function=activation)


def _sort_keys(path: Path) -> None:
    write_json(path, json.loads(path.read_text("utf-8")))
