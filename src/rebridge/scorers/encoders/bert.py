"""The layers of BERT and RoBERTa: attention, then a feed-forward network, each followed by sum and norm.

Devlin et al., BERT (NAACL 2019), https://aclanthology.org/N19-1423.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.encoders.attention import attend
from rebridge.scorers.encoders.linear import Linear

if TYPE_CHECKING:
    from rebridge.scorers.encoders.layout import Layout
    from rebridge.scorers.encoders.linear import Kind


class FeedForward(torch.nn.Module):
    """What BERT and DeBERTa do after attention.

    Args:
        layer: a layer of transformers.
        kind: what multiplies; None for the faster one.
    """

    def __init__(self, layer: Any, kind: Kind | None) -> None:
        super().__init__()
        output = layer.attention.output
        self._attended, self._attended_norm = Linear(output.dense, kind=kind), output.LayerNorm
        self._wide, self._act = Linear(layer.intermediate.dense, kind=kind), layer.intermediate.intermediate_act_fn
        self._narrow, self._narrow_norm = Linear(layer.output.dense, kind=kind), layer.output.LayerNorm

    def forward(self, attended: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """The next states, from what attention gave and the states before it."""
        states = self._attended_norm(self._attended(attended).add_(states))
        narrow = self._narrow(self._act(self._wide(states)))
        following: torch.Tensor = self._narrow_norm(narrow.add_(states))
        return following


class BertLayer(torch.nn.Module):
    """One layer.

    Args:
        layer: the same of transformers.
        config: of the model.
        kind: what multiplies; None for the faster one.
    """

    def __init__(self, layer: Any, config: Any, kind: Kind | None) -> None:
        super().__init__()
        own = layer.attention.self
        self._inputs = Linear(own.query, own.key, own.value, kind=kind)
        self._heads = int(config.num_attention_heads)
        self._rest = FeedForward(layer, kind)

    def forward(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        """The next states, shape (rows, features)."""
        following: torch.Tensor = self._rest(attend(self._inputs(states), layout, self._heads), states)
        return following


def supports(config: Any) -> bool:
    """Whether `BertLayer` does all that this configuration asks for."""
    absolute = getattr(config, "position_embedding_type", None) in {None, "absolute"}
    return absolute and not config.is_decoder and not config.add_cross_attention
