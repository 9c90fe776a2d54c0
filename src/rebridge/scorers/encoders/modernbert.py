"""The layers of ModernBERT: rotary positions, attention to all tokens or to near ones, gated feed-forward networks.

Warner et al., ModernBERT (2024), https://arxiv.org/abs/2412.13663.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.encoders.attention import attend, attend_near
from rebridge.scorers.encoders.bert import is_gelu
from rebridge.scorers.encoders.linear import Linear

if TYPE_CHECKING:
    from rebridge.scorers.encoders.layout import Layout
    from rebridge.scorers.encoders.linear import Kind

_FULL, _NEAR = "full_attention", "sliding_attention"

#: Cosines and sines of each token's angles, each of shape (tokens, 1, 1, size of a head).
Angles = tuple[torch.Tensor, torch.Tensor]


class ModernBertLayer(torch.nn.Module):
    """One layer.

    Args:
        layer: the same of transformers.
        config: of the model.
        kind: what multiplies; None for the faster one of the exact ones.
    """

    def __init__(self, layer: Any, config: Any, kind: Kind | None) -> None:
        super().__init__()
        self.kind = str(layer.attention_type)
        self._reach = int(config.sliding_window) if self.kind == _NEAR else None
        self._heads = int(config.num_attention_heads)
        linear = partial(Linear, kind=kind)
        self._norm, self._inputs, self._attended = layer.attn_norm, linear(layer.attn.Wqkv), linear(layer.attn.Wo)
        self._wide_norm, self._wide, self._narrow = layer.mlp_norm, linear(layer.mlp.Wi), linear(layer.mlp.Wo)
        self._act = torch.nn.functional.gelu if is_gelu(layer.mlp.act) else layer.mlp.act

    def forward(self, states: torch.Tensor, layout: Layout, angles: Angles) -> torch.Tensor:
        """The next states, shape (tokens, features)."""
        inputs = self._inputs(self._norm(states))
        rotated = inputs.view(len(inputs), 3, self._heads, -1)[:, :2]
        rotated.copy_(_turned(rotated, angles))
        if self._reach is None:
            attended = attend(inputs, layout, self._heads)
        else:
            attended = attend_near(inputs, layout, self._heads, self._reach)
        states = self._attended(attended).add_(states)
        value, gate = self._wide(self._wide_norm(states)).chunk(2, dim=-1)
        following: torch.Tensor = self._narrow(self._act(value).mul_(gate)).add_(states)
        return following


def _turned(states: torch.Tensor, angles: Angles) -> torch.Tensor:
    """Rotary embedding: Su et al., RoFormer, https://arxiv.org/abs/2104.09864, with halves as in GPT-NeoX."""
    cosines, sines = angles
    first, second = states.chunk(2, dim=-1)
    return (states.float() * cosines + torch.cat((-second, first), dim=-1).float() * sines).to(states.dtype)


def angles_of(config: Any, kind: str, positions: torch.Tensor) -> Angles:
    """Angles of tokens at these positions, for layers of a kind."""
    size = config.hidden_size // config.num_attention_heads
    steps = torch.arange(0, size, 2, dtype=torch.float) / size
    turns = positions[:, None].float() / (config.rope_parameters[kind]["rope_theta"] ** steps)
    both = torch.cat((turns, turns), dim=-1)[:, None, None, :]
    return both.cos(), both.sin()


def supports(config: Any) -> bool:
    """Whether `ModernBertLayer` does all that this configuration asks for."""
    ropes = getattr(config, "rope_parameters", None)  # None before transformers 5
    kinds = set(getattr(config, "layer_types", None) or ())
    return (
        isinstance(ropes, dict)
        and bool(kinds)
        and kinds <= {_FULL, _NEAR}
        and all((ropes.get(kind) or {}).get("rope_type") == "default" for kind in kinds)
    )
