"""Tiny tokenizers of the real types, trained on `corpus` (not `tokenizers.py`: that would hide the library).

SentencePiece models are real ones, converted by transformers as the published tokenizers were. Nothing here depends
on a path, the clock or the order of a hash map, so the files come out identical on every run.
"""

import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import sentencepiece
from corpus import SENTENCES
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertTokenizerFast,
    DebertaV2TokenizerFast,
    GemmaTokenizerFast,
    LlamaTokenizerFast,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2TokenizerFast,
    XLMRobertaTokenizerFast,
)

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def xlm_roberta(*, max_length: int = 512) -> PreTrainedTokenizerBase:
    """Return an XLM-R tokenizer: unigram pieces, `<s> A </s></s> B </s>`."""
    pieces = _sentencepiece(model_type="unigram", vocab_size=420, rules=_width_rules())
    with _model_file("sentencepiece.bpe.model", pieces) as path:
        tokenizer = XLMRobertaTokenizerFast(vocab_file=str(path), model_max_length=max_length)
        return _with_model(tokenizer, "sentencepiece.bpe.model", pieces)


def deberta() -> PreTrainedTokenizerBase:
    """Return a DeBERTa-v3 tokenizer: unigram pieces, `[CLS] A [SEP] B [SEP]`."""
    special = {
        "pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3,
        "pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]",
    }  # fmt: skip
    pieces = _sentencepiece(model_type="unigram", vocab_size=420, rules=_width_rules(), **special)
    with _model_file("spm.model", pieces) as path:
        tokenizer = DebertaV2TokenizerFast(vocab_file=str(path), do_lower_case=False, model_max_length=512)
        return _with_model(tokenizer, "spm.model", pieces)


def gemma() -> PreTrainedTokenizerBase:
    """Return a Gemma tokenizer: BPE with byte fallback, no prefix space, newlines as pieces."""
    special = {
        "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3,
        "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>", "unk_piece": "<unk>",
    }  # fmt: skip
    pieces = _sentencepiece(
        model_type="bpe",
        vocab_size=680,
        byte_fallback=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_digits=True,
        user_defined_symbols=["<mask>", "\n", "\n\n"],
        **special,
    )
    with _model_file("tokenizer.model", pieces) as path:
        tokenizer = GemmaTokenizerFast(vocab_file=str(path))
        return _with_model(tokenizer, "tokenizer.model", pieces)


def llama() -> PreTrainedTokenizerBase:
    """Return a Llama tokenizer as MiniCPM uses it: BPE with byte fallback and a prefix space."""
    pieces = _sentencepiece(
        model_type="bpe", vocab_size=680, byte_fallback=True, remove_extra_whitespaces=False, split_digits=True
    )
    with _model_file("tokenizer.model", pieces) as path:
        tokenizer = LlamaTokenizerFast(
            vocab_file=str(path),
            pad_token="<unk>",  # noqa: S106
            add_prefix_space=True,
            legacy=True,
        )
        return _with_model(tokenizer, "tokenizer.model", pieces)


def qwen(*, thinking: bool = False, max_length: int = 32768) -> PreTrainedTokenizerBase:
    """Return a Qwen tokenizer: byte-level BPE and chat markers, with Qwen3's `<think>` where asked for."""
    vocabulary, merges = _byte_bpe(pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"), size=620)
    with tempfile.TemporaryDirectory() as folder:
        vocab_file, merges_file = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocab_file.write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
        merges_file.write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
        tokenizer = Qwen2TokenizerFast(
            vocab_file=str(vocab_file),
            merges_file=str(merges_file),
            model_max_length=max_length,
            additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        )
    if thinking:
        tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in ("<think>", "</think>")])
    return tokenizer


def modern_bert(*, max_length: int = 8192) -> PreTrainedTokenizerBase:
    """Return a ModernBERT tokenizer: byte-level BPE, the BERT markers after the vocabulary, `[MASK]` eats blanks."""
    vocabulary, merges = _byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), size=560)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    markers = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.add_special_tokens([*markers, AddedToken("[MASK]", lstrip=True, special=True)])
    tokenizer.add_tokens([AddedToken(f"[unused{number}]", normalized=True) for number in range(3)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:0 [SEP]:0",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")],
    )
    names = {f"{mark[1:-1].lower()}_token": mark for mark in [*markers, "[MASK]"]}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        **names,
    )


def word_pieces() -> list[str]:
    """Return the entries of a BERT `vocab.txt`: markers, characters, then frequent words and word ends."""
    splitter = pre_tokenizers.BertPreTokenizer()
    lower = normalizers.BertNormalizer(lowercase=True)
    words = Counter()
    for sentence in SENTENCES:
        words.update(word for word, _ in splitter.pre_tokenize_str(lower.normalize_str(sentence)))
    characters = sorted(
        {character for word in words for character in word if character.isascii() or ord(character) % 3}
    )
    punctuation = [mark for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" if mark not in characters]
    ends = Counter(word[cut:] for word in words if word.isascii() for cut in range(2, len(word) - 1))
    return [
        "[PAD]", "[unused0]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
        *punctuation,
        *characters,
        *(f"##{character}" for character in characters),
        *_most_frequent({word: count for word, count in words.items() if len(word) > 1 and word.isascii()}, 150),
        *(f"##{end}" for end in _most_frequent(ends, 60)),
    ]  # fmt: skip


def bert(*, max_length: int = 512) -> PreTrainedTokenizerBase:
    """Return an uncased BERT tokenizer: word pieces, `[CLS] A [SEP] B [SEP]` with token types."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.txt")
        path.write_text("".join(f"{piece}\n" for piece in word_pieces()), encoding="utf-8")
        return BertTokenizerFast(vocab_file=str(path), do_lower_case=True, model_max_length=max_length)


def _most_frequent(counts: dict[str, int], limit: int) -> list[str]:
    return [entry for entry, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]]


def _byte_bpe(splitter: Any, size: int) -> tuple[dict[str, int], list[str]]:
    """Train byte-level BPE and return its vocabulary in order and its merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    steps = [splitter]
    if not isinstance(splitter, pre_tokenizers.ByteLevel):
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    state = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(sorted(state["vocab"].items(), key=lambda item: item[1]))
    return vocabulary, [" ".join(merge) for merge in state["merges"]]


def _width_rules() -> str:
    """Return normalisation rules in SentencePiece's TSV format.

    The real charsmap (NFKC) alone would fill 300 KB. This one maps what most often matters: full-width forms to
    ASCII, and every kind of blank to a space.
    """
    blanks = dict.fromkeys((9, 10, 13, 160, 12288, 8203, 65279), 32)
    wide = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    return "".join(f"{source:X}\t{target:X}\n" for source, target in sorted({**blanks, **wide}.items()))


def _sentencepiece(*, rules: str | None = None, **options: Any) -> bytes:
    """Train a SentencePiece model and return its bytes."""
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        if rules:
            file.write(rules)
            file.flush()
            options["normalization_rule_tsv"] = file.name
        else:
            options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_writer=model,
            num_threads=1,
            hard_vocab_limit=False,
            character_coverage=0.995,
            minloglevel=2,
            **options,
        )
    return _without_path(model.getvalue())


def _without_path(data: bytes) -> bytes:
    """Drop the name of the temporary rules file from the model."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(data)
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    return proto.SerializeToString(deterministic=True)


class _model_file:  # noqa: N801
    """Keep a SentencePiece model in a temporary file under the name that its tokenizer expects."""

    def __init__(self, name: str, data: bytes) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name, name)
        self._path.write_bytes(data)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _with_model(tokenizer: PreTrainedTokenizerBase, name: str, data: bytes) -> PreTrainedTokenizerBase:
    """Remember the SentencePiece model so that `files.save_tokenizer` can write it beside `tokenizer.json`."""
    tokenizer.vocab_file = None
    tokenizer.sentencepiece_model = (name, data)
    return tokenizer
