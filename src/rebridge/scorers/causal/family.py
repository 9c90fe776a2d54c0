"""Language models that answer with their next token: the logit of a word such as "Yes" after a prompt is the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rebridge.scorers.family import Family
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from rebridge.scorers.base import Activation
    from rebridge.scorers.causal.decoder import DecoderModel
    from rebridge.scorers.causal.prompts import Prompt
    from rebridge.steps import Windows

Logits = tuple[float, ...]  # of one input: a number per layer that is read, ascending


class Causal(Family[Logits]):
    """Raw score: a logit of the token that would follow the prompt, or the difference of two.

    The output layer of such a model has a row per token of the vocabulary, and would give as many numbers for each
    token of the input. Here the last token's state alone is multiplied by the one row that matters, so the memory for
    scoring does not depend on the vocabulary.

    Args:
        model: gives the last token's states.
        head: rows of the output layer, shape (layers, features), float32: one per layer that is read.
        prompt: makes one input of query and passage.
        normalize: whether the official score is the sigmoid of the raw one, or the raw one itself.
        midpoint: the logit that counts as neither relevant nor irrelevant; it is taken off the raw score.
    """

    def __init__(
        self, model: DecoderModel, head: torch.Tensor, prompt: Prompt, *, normalize: bool, midpoint: float = 0.0
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
