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
        kind: what multiplies; None for the faster one of the exact ones.
    """

    def __init__(self, layer: Any, kind: Kind | None) -> None:
        super().__init__()
        output, act = layer.attention.output, layer.intermediate.intermediate_act_fn
        gelu = is_gelu(act)
        self._attended, self._attended_norm = Linear(output.dense, kind=kind), output.LayerNorm
        self._wide = Linear(layer.intermediate.dense, gelu=gelu, kind=kind)
        self._act = None if gelu else act
        self._narrow, self._narrow_norm = Linear(layer.output.dense, kind=kind), layer.output.LayerNorm

    def forward(self, attended: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """The next states, from what attention gave and the states before it."""
        states = self._attended_norm(self._attended(attended).add_(states))
        wide = self._wide(states)
        narrow = self._narrow(wide if self._act is None else self._act(wide))
        following: torch.Tensor = self._narrow_norm(narrow.add_(states))
        return following


class BertLayer(torch.nn.Module):
    """One layer.

    Args:
        layer: the same of transformers.
        config: of the model.
        kind: what multiplies; None for the faster one of the exact ones.
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


def is_gelu(act: Any) -> bool:
    """Whether a function of transformers is GELU by the error function."""
    from transformers.activations import ACT2FN

    return type(act) is type(ACT2FN["gelu"]) or (isinstance(act, torch.nn.GELU) and act.approximate == "none")


def supports(config: Any) -> bool:
    """Whether `BertLayer` does all that this configuration asks for."""
    absolute = getattr(config, "position_embedding_type", None) in {None, "absolute"}
    return absolute and not config.is_decoder and not config.add_cross_attention
