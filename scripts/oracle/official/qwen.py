"""Qwen3-Reranker: the code of its README, and `CrossEncoder` on the same text for the form with one label."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from official import Scorer

CAUSAL = "Qwen3-Reranker README code on transformers==4.57.6"
SEQ_CLS = "sentence-transformers==5.3.0 CrossEncoder.predict on the README's text"
BATCH = 32
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def open_causal(folder: Path) -> Scorer:
    """Return a scorer that gives P(yes), or the logit of yes minus that of no with `raw`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def score(
        query: str,
        passages: list[str],
        instruction: str = INSTRUCTION,
        max_length: int = 8192,
        *,
        raw: bool = False,
    ) -> list[float]:
        scores = []
        for start in range(0, len(passages), BATCH):
            texts = [_text(instruction, query, passage) for passage in passages[start : start + BATCH]]
            scores += _answer(tokenizer, model, _inputs(tokenizer, texts, max_length), raw=raw)
        return scores

    return score


def open_seq_cls(folder: Path) -> Scorer:
    """Return a scorer of preformatted pairs; the activation is the package's default unless named."""
    from official.cross_encoder import open_model

    predict = open_model(folder)

    def score(
        query: str, passages: list[str], instruction: str = INSTRUCTION, activation_fn: str | None = None
    ) -> list[float]:
        head = f"{PREFIX}<Instruct>: {instruction}\n<Query>: {query}\n"
        return predict(head, [f"<Document>: {p}{SUFFIX}" for p in passages], activation_fn=activation_fn)

    return score


def _text(instruction: str, query: str, passage: str) -> str:
    return f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {passage}"


def _inputs(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int) -> Any:
    prefix = tokenizer.encode(PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(SUFFIX, add_special_tokens=False)
    room = max_length - len(prefix) - len(suffix)
    encoded = tokenizer(texts, padding=False, truncation="longest_first", return_attention_mask=False, max_length=room)[
        "input_ids"
    ]
    return tokenizer.pad({"input_ids": [prefix + ids + suffix for ids in encoded]}, padding=True, return_tensors="pt")


@torch.inference_mode()
def _answer(tokenizer: PreTrainedTokenizerBase, model: Any, inputs: Any, *, raw: bool) -> list[float]:
    logits = model(**inputs).logits[:, -1, :]
    no, yes = (logits[:, tokenizer.convert_tokens_to_ids(word)] for word in ("no", "yes"))
    if raw:
        return (yes - no).tolist()
    return torch.nn.functional.log_softmax(torch.stack([no, yes], dim=1), dim=1)[:, 1].exp().tolist()
