"""Attention within each input of a packed batch."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rebridge.scorers.encoders.layout import Layout, Run

#: Queries that look at near keys at a time.
_ROWS = 256


def attend(
    states: torch.Tensor,
    layout: Layout,
    heads: int,
    bias: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Attention of every token to the tokens of its own input.

    Args:
        states: queries, keys and values side by side, shape (rows, 3 * features).
        layout: where inputs begin and end.
        heads: how many.
        bias: what is added to the products of queries and keys (each of shape (inputs, heads, length, features of a
            head)), of a shape that fits (inputs, heads, length, length).
        scale: of the products; None for 1 / sqrt(features of a head).

    Returns:
        Shape (rows, features).
    """
    result = states.new_empty(states.shape[0], states.shape[1] // 3)
    result[layout.tokens :] = 0
    for run in layout.runs:
        query, key, value = _parts(states, run, heads)
        added = None if bias is None else bias(query, key)
        if run.attended < run.length:
            key, value = key[:, :, : run.attended], value[:, :, : run.attended]
            added = None if added is None else added[..., : run.attended]
        found = scaled_dot_product_attention(query, key, value, attn_mask=added, scale=scale)
        result[run.tokens].view(run.inputs, run.length, heads, -1).copy_(found.transpose(1, 2))
    return result


def attend_near(states: torch.Tensor, layout: Layout, heads: int, reach: int) -> torch.Tensor:
    """Attention of every token to those tokens of its own input that are near it.

    Work and memory grow with the length of an input, not with its square.

    Args:
        states: queries, keys and values side by side, shape (rows, 3 * features).
        layout: where inputs begin and end.
        heads: how many.
        reach: how far away a token may be that another one looks at.

    Returns:
        Shape (rows, features); 0 for a token that has none to look at.
    """
    result = states.new_zeros(states.shape[0], states.shape[1] // 3)
    for run in layout.runs:
        query, key, value = _parts(states, run, heads)
        placed = result[run.tokens].view(run.inputs, run.length, heads, -1)
        for rows, keys, near in _blocks(run, reach, states.device):
            found = scaled_dot_product_attention(query[:, :, rows], key[:, :, keys], value[:, :, keys], attn_mask=near)
            placed[:, rows].copy_(found.transpose(1, 2))
    return result


def _parts(states: torch.Tensor, run: Run, heads: int) -> torch.Tensor:
    """Queries, keys and values of a run, shape (3, inputs, heads, length, features of a head)."""
    return states[run.tokens].view(run.inputs, run.length, 3, heads, -1).permute(2, 0, 3, 1, 4)


def _blocks(run: Run, reach: int, device: torch.device) -> Iterator[tuple[slice, slice, torch.Tensor | None]]:
    """Neighbouring queries, the keys near any of them, and which of these are near which; None if all are."""
    for start in range(0, run.length, _ROWS):
        rows = slice(start, min(start + _ROWS, run.length))
        keys = slice(max(0, start - reach), min(rows.stop + reach, run.attended))
        if keys.start >= keys.stop:
            return
        before = start - reach
        near = _band(reach, device)[: rows.stop - start, keys.start - before : keys.stop - before]
        yield rows, keys, None if run.length <= reach + 1 else near


@lru_cache(maxsize=8)
def _band(reach: int, device: torch.device) -> torch.Tensor:
    """True where a key is near a query of a block, of all keys that are near any of them.

    Of every shorter block, and where an input begins and ends, it is a part.

    Returns:
        Shape (`_ROWS`, `_ROWS` + 2 * reach).
    """
    queries = torch.arange(_ROWS, device=device) + reach
    keys = torch.arange(_ROWS + 2 * reach, device=device)
    return (queries[:, None] - keys).abs() <= reach
