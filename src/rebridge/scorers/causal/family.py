"""Language models that answer with their next token: the logit of a word such as "Yes" after a prompt is the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.family import Family
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.base import Activation
    from rebridge.scorers.causal.prompts import Prompt
    from rebridge.scorers.torch_model import TorchModel
    from rebridge.steps import Windows

Logits = tuple[float, ...]  # of one input: a number per layer that is read, ascending


class Causal(Family[Logits]):
    """Raw score: a logit of the token that would follow the prompt, or the difference of two.

    The output layer of such a model has a row per token of the vocabulary, and would give as many numbers for each
    token of the input. Here the last token's state alone is multiplied by the one row that matters, so the memory for
    scoring does not depend on the vocabulary.

    Args:
        model: runs a `Decoder`.
        head: rows of the output layer, shape (layers, features), float32: one per layer that is read.
        prompt: makes one input of query and passage.
        normalize: whether the official score is the sigmoid of the raw one, or the raw one itself.
        midpoint: the logit that counts as neither relevant nor irrelevant; it is taken off the raw score.
    """

    def __init__(
        self, model: TorchModel, head: torch.Tensor, prompt: Prompt, *, normalize: bool, midpoint: float = 0.0
    ) -> None:
        self.activation: Activation = "sigmoid" if normalize else "identity"
        self.layers = len(head)
        self._model = model
        self._head = head
        self._prompt = prompt
        self._midpoint = midpoint

    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage by the model's tokens."""
        return self._model.text.cut(passage, windows)

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """The prompt about query and passage."""
        return [Tokens(ids) for ids in self._prompt.encode(query, passages)]

    def forward(self, batch: Sequence[Tokens]) -> list[Logits]:
        """One logit per layer for each prompt."""

        def head(states: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            # float32 whatever the model computes in: bfloat16 would round logits to two or three digits.
            return (states.float() * self._head).sum(dim=-1)

        return [tuple(row) for row in self._model.run(batch, head).tolist()]

    def finish(self, query: Logits | None, passage: Logits) -> float:
        """The logit of the last layer."""
        return self.finish_layers(query, passage)[-1]

    def finish_layers(self, query: Logits | None, passage: Logits) -> Logits:  # noqa: ARG002 - read with the passage
        """The logit of each layer."""
        return tuple(logit - self._midpoint for logit in passage)


class Decoder:
    """A language model without its output layer, which gives the state of each input's last token.

    Inputs are padded on the right. No token of a decoder sees what comes after it, so the padding needs no mask, and
    positions count from 0 as they would without it. Without a mask attention takes its fast path, whose memory grows
    with the length of the input instead of its square.

    Args:
        model: the base model of transformers: embeddings, layers, norm.
        early: how many layers come before each earlier state to read, ascending; the last layer is always read.
    """

    def __init__(self, model: Any, early: Sequence[int] = ()) -> None:
        self._model = model
        self._last = torch.zeros(0, dtype=torch.long)
        self._early: list[torch.Tensor] = []
        for count in early:
            model.layers[count - 1].register_forward_hook(self._keep)

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Normed states of each input's last token, shape (inputs, layers to read, features).

        Args:
            input_ids: shape (inputs, length).
            attention_mask: same shape; 1 for tokens, then 0 for padding.
        """
        self._last = attention_mask.sum(dim=1) - 1
        self._early = []
        final = self._pick(self._model(input_ids=input_ids, use_cache=False).last_hidden_state)
        return torch.stack([*(self._model.norm(states) for states in self._early), final], dim=1)

    def _keep(self, layer: Any, arguments: Any, output: Any) -> None:
        """Hook of a layer; it keeps single tokens because whole states of many layers would fill the memory."""
        del layer, arguments
        # Before transformers 5 a layer gives a tuple.
        self._early.append(self._pick(output[0] if isinstance(output, tuple) else output))

    def _pick(self, states: torch.Tensor) -> torch.Tensor:
        return states[torch.arange(len(states), device=states.device), self._last]
