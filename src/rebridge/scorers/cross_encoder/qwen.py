"""Qwen3-Reranker with a classification head: asked as its causal form, but the one label is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.scorers.causal.prompts import ChatPrompt, Limits
from rebridge.scorers.cross_encoder.family import CrossEncoder, load_classifier, sigmoid_if
from rebridge.scorers.tokens import TextEncoder, Tokens
from rebridge.scorers.torch_model import TorchModel, choose_max_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.causal.prompts import ChatTexts
    from rebridge.scorers.checkpoint import Checkpoint

_MAX_LENGTH = 8192


def load(  # noqa: PLR0913 - where to put the model, and the options
    checkpoint: Checkpoint,
    *,
    device: Any,
    dtype: Any,
    texts: ChatTexts,
    instruction: str,
    max_length: int | None = None,
    normalize: bool | None = None,
) -> CrossEncoder:
    """Load a Qwen3-Reranker whose one label is the logit of yes minus that of no.

    Its card scores such pairs with `CrossEncoder` of sentence-transformers, which cuts them anywhere, after 40,960
    tokens. Here they are cut as in the README of the causal form, so that the question itself always stays.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        texts: the chat that query and passage are put into.
        instruction: what the model is told about the task.
        max_length: most tokens of an input, the chat's included; None for 8192, as the README says.
        normalize: whether the score is the sigmoid of the logit; None for the sigmoid.

    Raises:
        ConfigError: if ``max_length`` leaves no room beside the chat.
        UnsupportedModel: if the model has more than one label.
    """
    model, tokenizer, _ = load_classifier(checkpoint, device=device, dtype=dtype, labels=1)
    length = choose_max_length(model.config, tokenizer, max_length, saved=_MAX_LENGTH)
    text = TextEncoder(tokenizer, length)
    prompt = ChatPrompt(text, texts, Limits(positions=length, max_length=length), instruction)

    def encode(query: str, passages: Sequence[str]) -> list[Tokens]:
        return [Tokens(ids) for ids in prompt.encode(query, passages)]

    return CrossEncoder(
        TorchModel(model, text, device), label=0, activation=sigmoid_if(normalize is not False), encode=encode
    )
