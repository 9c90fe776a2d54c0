"""Cross-encoders: DeBERTa, XLM-R, BERT and ModernBERT with a classification head."""

from pathlib import Path
from typing import Any

import torch
import vocabularies
from files import edit_config, fill, fresh, save_model, save_tokenizer, write_json
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerBase,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def deberta(folder: Path) -> None:
    """mxbai-rerank v1: DeBERTa-v2 with relative positions only, stored as fp16."""
    tokenizer = vocabularies.deberta()
    config = DebertaV2Config(
        **SIZES,
        vocab_size=len(tokenizer) + 8,  # the real table, too, has more rows than the tokenizer has ids
        num_labels=1,
        max_position_embeddings=512,
        type_vocab_size=0,
        position_buckets=256,
        relative_attention=True,
        max_relative_positions=-1,
        position_biased_input=False,
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        layer_norm_eps=1e-7,
        pooler_hidden_act="gelu",
        pooler_dropout=0,
        pooler_hidden_size=32,
    )
    model = fill(DebertaV2ForSequenceClassification(config), seed=1)
    save_model(model, fresh(folder), dtype=torch.float16)
    save_tokenizer(tokenizer, folder)


def xlm_r(folder: Path, *, seed: int = 2, layers: int = 2) -> None:
    """bge-reranker: XLM-R with one label."""
    tokenizer = vocabularies.xlm_roberta()
    config = XLMRobertaConfig(
        **{**SIZES, "num_hidden_layers": layers},
        vocab_size=len(tokenizer),
        num_labels=1,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    save_model(fill(XLMRobertaForSequenceClassification(config), seed=seed, std=0.3), fresh(folder))
    save_tokenizer(tokenizer, folder)


def bce(folder: Path) -> None:
    """bce-reranker-base_v1: XLM-R with one label."""
    xlm_r(folder, seed=3)


def japanese(folder: Path) -> None:
    """japanese-reranker-cross-encoder-xsmall-v1: XLM-R with one label, more layers."""
    xlm_r(folder, seed=4, layers=3)


def amberoad(folder: Path) -> None:
    """bert-multilingual-passage-reranking-msmarco: BERT with two labels, `vocab.txt` and an empty tokenizer config."""
    folder = fresh(folder)
    pieces = vocabularies.word_pieces()
    save_model(fill(BertForSequenceClassification(_bert_config(len(pieces), labels=2)), seed=5, std=0.3), folder)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    write_json(folder / "tokenizer_config.json", {})


def minilm(folder: Path) -> None:
    """ms-marco-MiniLM: BERT with one label and the saved activation Identity."""
    tokenizer = vocabularies.bert()
    model = BertForSequenceClassification(_bert_config(len(tokenizer), labels=1))
    save_model(fill(model, seed=6, std=0.3), fresh(folder))
    activation = {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"}
    edit_config(folder, sentence_transformers=activation)
    save_tokenizer(tokenizer, folder)


def gte_modernbert(folder: Path) -> None:
    """gte-reranker-modernbert-base: ModernBERT with one label and mean pooling, stored as fp16."""
    tokenizer = vocabularies.modern_bert(max_length=1024)
    config = ModernBertConfig(
        **modern_bert_options(tokenizer), max_position_embeddings=1024, num_labels=1, classifier_pooling="mean"
    )
    model = fill(ModernBertForSequenceClassification(config), seed=7)
    save_model(model, fresh(folder), dtype=torch.float16)
    save_tokenizer(tokenizer, folder)


def modern_bert_options(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return the options that every tiny ModernBERT shares: four layers, of which the second and third look locally."""
    ids = tokenizer.convert_tokens_to_ids
    return {
        **SIZES,
        "num_hidden_layers": 4,
        "intermediate_size": 48,
        "vocab_size": len(tokenizer),
        "local_attention": 32,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "reference_compile": False,
        "pad_token_id": ids("[PAD]"),
        "bos_token_id": ids("[CLS]"),
        "cls_token_id": ids("[CLS]"),
        "eos_token_id": ids("[SEP]"),
        "sep_token_id": ids("[SEP]"),
    }


def _bert_config(vocab_size: int, *, labels: int) -> BertConfig:
    return BertConfig(**SIZES, vocab_size=vocab_size, num_labels=labels, max_position_embeddings=512, pad_token_id=0)
