"""Models whose official entry point is transformers itself."""

from pathlib import Path
from typing import Any

import torch

from official import Scorer

BATCH = 32
AMBEROAD = "transformers==4.57.6 BertForSequenceClassification logits[:, 1], the rule of nboost plugins/rerank/base.py"


def open_amberoad(folder: Path) -> Scorer:
    """Return a scorer: pair with token types, cut longest first, the raw logit of the second label."""
    loaded = _load(folder)

    def score(query: str, passages: list[str], max_length: int = 512) -> list[float]:
        return _logits(loaded, query, passages, max_length)[:, 1].tolist()

    return score


def open_gte(folder: Path) -> Scorer:
    """Return a scorer: `CrossEncoder`, or with `raw` the card's other code, the logit of the only label."""
    from official.cross_encoder import open_model

    predict = open_model(folder)
    loaded = tokenizer, _ = _load(folder)

    def score(query: str, passages: list[str], *, raw: bool = False) -> list[float]:
        if not raw:
            return predict(query, passages)
        return _logits(loaded, query, passages, tokenizer.model_max_length)[:, 0].tolist()

    return score


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder).eval()


@torch.inference_mode()
def _logits(loaded: tuple[Any, Any], query: str, passages: list[str], max_length: int) -> torch.Tensor:
    """Score in batches of the input's order."""
    tokenizer, model = loaded
    parts = []
    for start in range(0, len(passages), BATCH):
        pairs = [(query, passage) for passage in passages[start : start + BATCH]]
        inputs = tokenizer(pairs, padding=True, truncation="longest_first", max_length=max_length, return_tensors="pt")
        parts.append(model(**inputs).logits.float())
    return torch.cat(parts)
