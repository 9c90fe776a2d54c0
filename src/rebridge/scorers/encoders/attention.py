"""Attention within each input of a packed batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebridge.scorers.encoders.layout import Layout


def attend(
    states: torch.Tensor,
    layout: Layout,
    heads: int,
    bias: Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None] | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Attention of every token to the tokens of its own input.

    Args:
        states: queries, keys and values side by side, shape (tokens, 3 * features).
        layout: where inputs begin and end.
        heads: how many.
        bias: what is added to the products of queries and keys (each of shape (inputs, heads, length, features of a
            head)), of a shape that fits (inputs, heads, length, length).
        scale: of the products; None for 1 / sqrt(features of a head).

    Returns:
        Shape (tokens, features).
    """
    tokens, width = states.shape[0], states.shape[1] // 3
    result = states.new_empty(tokens, width)
    for run in layout.runs:
        parts = states[run.tokens].view(run.inputs, run.length, 3, heads, width // heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        added = None if bias is None else bias(query, key)
        if run.attended < run.length:
            key, value = key[:, :, : run.attended], value[:, :, : run.attended]
            added = None if added is None else added[..., : run.attended]
        found = scaled_dot_product_attention(query, key, value, attn_mask=added, scale=scale)
        result[run.tokens].view(run.inputs, run.length, heads, -1).copy_(found.transpose(1, 2))
    return result
