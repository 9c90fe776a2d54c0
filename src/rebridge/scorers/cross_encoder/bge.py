"""bge-reranker: query and passage are cut apart, so that a long query never takes the passage's room."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rebridge.errors import ConfigError
from rebridge.scorers.cross_encoder.family import CrossEncoder, load_classifier, sigmoid_if
from rebridge.scorers.tokens import TextEncoder, Tokens
from rebridge.scorers.torch_model import TorchModel, choose_max_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.checkpoint import Checkpoint

_MAX_LENGTH = 512

# <s> query </s> </s> passage </s>
_SPECIAL = 4


def load(  # noqa: PLR0913 - where to put the model, and the options
    checkpoint: Checkpoint,
    *,
    device: Any,
    dtype: Any,
    max_length: int | None = None,
    query_max_length: int | None = None,
    normalize: bool | None = None,
) -> CrossEncoder:
    """Load a bge-reranker with an encoder; scores are those of `FlagReranker.compute_score` in FlagEmbedding.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        max_length: most tokens of an input; None for 512, also where the model reads more.
        query_max_length: most tokens of the query; None for three quarters of ``max_length``.
        normalize: whether the score is the sigmoid of the logit; None for the logit.

    Raises:
        ConfigError: if a length leaves no room for the passage.
        UnsupportedModel: if the model has more than one label.
    """
    model, tokenizer, _ = load_classifier(checkpoint, device=device, dtype=dtype, labels=1)
    length = choose_max_length(model.config, tokenizer, max_length, saved=_MAX_LENGTH)
    most = length - _SPECIAL - 1  # one token for the passage
    if query_max_length is not None and query_max_length > most:
        raise ConfigError(f"query_max_length={query_max_length} leaves no room for a passage: at most {most}")
    text = TextEncoder(tokenizer, length)
    special = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    return CrossEncoder(
        TorchModel(model, text, device),
        label=0,
        activation=sigmoid_if(bool(normalize)),
        encode=partial(_encode, text, special, query_max_length or min(length * 3 // 4, most)),
    )


def _encode(
    text: TextEncoder, special: tuple[int, int], query_length: int, query: str, passages: Sequence[str]
) -> list[Tokens]:
    """``<s> query </s> </s> passage </s>``; the query is cut to its own length, the passage to what is left.

    Source: FlagEmbedding 1.4.2, inference/reranker/encoder_only/base.py, with transformers 4.
    """
    start, end = special
    (ids,) = text.ids([query], query_length)
    head = np.concatenate(([start], ids, [end, end])).astype(np.int32)
    tail = np.asarray([end], np.int32)
    room = text.max_length - len(head) - len(tail)
    return [Tokens(np.concatenate((head, passage, tail))) for passage in text.ids(passages, limit=room)]
