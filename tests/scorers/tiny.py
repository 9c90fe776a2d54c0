"""Tokenizers and configurations of tiny models."""

# ruff: noqa: S106 - special tokens are no passwords
from __future__ import annotations

from typing import Any

CORPUS = [
    "red running shoes for men and women, light and fast",
    "the river flows through the old town; a boat trip takes two hours",
    "How many people live in Berlin? Berlin has 3.7 million inhabitants.",
    "wind energy, water power and batteries: how storage works",
    "資訊檢索 東京 北京 是 首都",
    "cafe\u0301 na\u00efve \u00fcber Stra\u00dfe",
]


def _wordpiece() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    words = {word for text in CORPUS for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = set().union(*words)
    # Not trained: that orders equal pairs by chance, so that a model's scores would differ from run to run.
    pieces = [*special, *sorted(letters), *sorted(f"##{letter}" for letter in letters), *sorted(words - letters)]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def _unigram() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pre_tokenizer = pre_tokenizers.Metaspace()
    words = {word for text in CORPUS for word, _ in pre_tokenizer.pre_tokenize_str(text)}
    letters = set().union(*words)
    pieces = [(piece, 0.0) for piece in special] + [(letter, -9.0) for letter in sorted(letters)]
    pieces += [(word, -7.0) for word in sorted(words - letters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def tokenizer_of(kind: str, model_max_length: int) -> Any:
    from transformers import PreTrainedTokenizerFast

    if kind == "xlm-roberta":
        return PreTrainedTokenizerFast(
            tokenizer_object=_unigram(),
            model_max_length=model_max_length,
            model_input_names=["input_ids", "attention_mask"],
            bos_token="<s>",
            cls_token="<s>",
            eos_token="</s>",
            sep_token="</s>",
            pad_token="<pad>",
            unk_token="<unk>",
            mask_token="<mask>",
        )
    names = ["input_ids", "attention_mask"] + ([] if kind == "modernbert" else ["token_type_ids"])
    return PreTrainedTokenizerFast(
        tokenizer_object=_wordpiece(),
        model_max_length=model_max_length,
        model_input_names=names,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )


def config_of(kind: str, vocabulary: int, **extra: Any) -> Any:
    import transformers

    size = {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "initializer_range": 0.2,
        **extra,
    }
    if kind == "bert":
        return transformers.BertConfig(**size, max_position_embeddings=96)
    if kind == "xlm-roberta":
        return transformers.XLMRobertaConfig(**size, max_position_embeddings=98, pad_token_id=1, type_vocab_size=1)
    if kind == "modernbert":
        special = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        return transformers.ModernBertConfig(
            **size, **special, max_position_embeddings=96, local_attention=16, global_attn_every_n_layers=2
        )
    deberta = {
        "max_position_embeddings": 96,
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "type_vocab_size": 0,
    }
    return transformers.DebertaV2Config(**{**deberta, **size})
