"""The layers of ModernBERT: rotary positions, attention to all tokens or to near ones, gated feed-forward networks.

Warner et al., ModernBERT (2024), https://arxiv.org/abs/2412.13663.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.encoders.attention import attend, attend_near
from rebridge.scorers.encoders.linear import Linear

if TYPE_CHECKING:
    from rebridge.scorers.encoders.layout import Layout
    from rebridge.scorers.encoders.linear import Kind

_FULL, _NEAR = "full_attention", "sliding_attention"


class ModernBertLayer(torch.nn.Module):
    """One layer.

    Args:
        layer: the same of transformers.
        config: of the model.
        kind: what multiplies; None for the faster one.
    """

    def __init__(self, layer: Any, config: Any, kind: Kind | None) -> None:
        super().__init__()
        self.kind = str(layer.attention_type)
        self._reach = int(config.sliding_window) if self.kind == _NEAR else None
        self._heads = int(config.num_attention_heads)
        linear = partial(Linear, kind=kind)
        _pair_halves(layer.attn.Wqkv, self._heads)
        self._norm, self._inputs, self._attended = layer.attn_norm, linear(layer.attn.Wqkv), linear(layer.attn.Wo)
        self._wide_norm, self._wide, self._narrow = layer.mlp_norm, linear(layer.mlp.Wi), linear(layer.mlp.Wo)
        self._act = layer.mlp.act

    def forward(self, states: torch.Tensor, layout: Layout, turns: torch.Tensor) -> torch.Tensor:
        """The next states, shape (rows, features).

        Args:
            states: same shape.
            layout: where inputs begin and end.
            turns: of `turns_of`.
        """
        inputs = self._inputs(self._norm(states))
        _turn(inputs.view(len(inputs), 3, self._heads, -1)[:, :2], turns)
        if self._reach is None:
            attended = attend(inputs, layout, self._heads)
        else:
            attended = attend_near(inputs, layout, self._heads, self._reach)
        states = self._attended(attended).add_(states)
        value, gate = self._wide(self._wide_norm(states)).chunk(2, dim=-1)
        following: torch.Tensor = self._narrow(self._act(value).mul_(gate)).add_(states)
        return following


def _pair_halves(projection: torch.nn.Linear, heads: int) -> None:
    """Exchange outputs within each query and key, so that those that turn together are neighbours: complex numbers.

    Rotary embedding (Su et al., RoFormer, https://arxiv.org/abs/2104.09864) turns pairs of features. Here, as in
    GPT-NeoX, those of feature i and of feature i + half. Products of queries and keys stay what they are.
    """
    for parameter in (projection.weight, projection.bias):
        if parameter is not None:
            halves = parameter.detach().view(3, heads, 2, -1, *parameter.shape[1:])[:2]
            halves.copy_(halves.transpose(2, 3).reshape(halves.shape))


def _turn(states: torch.Tensor, turns: torch.Tensor) -> None:
    """Turn pairs of neighbouring features, in place and in float32."""
    exact = states.float()
    torch.view_as_complex(exact.view(*exact.shape[:-1], -1, 2)).mul_(turns)
    if exact is not states:
        states.copy_(exact)


def turns_of(config: Any, kind: str, positions: torch.Tensor) -> torch.Tensor:
    """What layers of a kind turn tokens at these positions by: complex, shape (rows, 1, 1, half the size of a head)."""
    size = config.hidden_size // config.num_attention_heads
    steps = torch.arange(0, size, 2, dtype=torch.float, device=positions.device) / size
    angles = positions[:, None].float() / (config.rope_parameters[kind]["rope_theta"] ** steps)
    return torch.polar(torch.ones_like(angles), angles)[:, None, None, :]


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
