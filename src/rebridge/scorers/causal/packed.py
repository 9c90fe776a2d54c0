"""Language models without padding, and with the beginnings that prompts share run only once.

All prompts of a search begin with the same template and query. No token of a decoder sees what comes after it, so each
layer's keys and values of such a beginning are the same in every prompt: they are computed once, and kept for the
next batch. What is left of the prompts goes through the layers as one row of tokens. The layers are those of
transformers, which treat every token alone but for attention; that function can be exchanged:
https://huggingface.co/docs/transformers/attention_interface
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from rebridge.scorers.causal.prefixes import Prefix, Prefixes, shared_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.causal.decoder import Decoder
    from rebridge.scorers.causal.prefixes import Ids

#: Rows and columns of tokens.
Places = tuple[torch.Tensor, torch.Tensor]

_ATTENTION = "rebridge_packed"

# Architectures whose layers mix tokens by plain causal attention and by nothing else, and what may turn their
# positions without looking at the length of the input.
_MODELS = frozenset({"gemma", "granite", "llama", "mistral", "qwen2", "qwen3"})
_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})

# About 60 searches with mxbai-rerank-base-v2, 5 with bge-reranker-v2-minicpm-layerwise.
_PREFIX_BYTES = 64 * 1024 * 1024


def packed(decoder: Decoder) -> PackedDecoder | None:
    """What does the same as a decoder with less work; None if its layers are not known here.

    Args:
        decoder: on the CPU; it must not be called any more, unless None comes back.
    """
    from transformers import AttentionInterface

    model = decoder.model
    if not _is_plain(model):
        return None
    AttentionInterface.register(_ATTENTION, _attend)
    model.set_attn_implementation(_ATTENTION)
    # Where transformers cannot exchange it, it only logs so.
    return PackedDecoder(decoder) if model.config._attn_implementation == _ATTENTION else None  # noqa: SLF001


def _is_plain(model: Any) -> bool:
    config = model.config
    full = set(getattr(config, "layer_types", None) or ()) <= {"full_attention"}
    windows = getattr(config, "sliding_window", None) is not None
    return config.model_type in _MODELS and full and not windows and model.rotary_emb.rope_type in _ROTATIONS


@dataclass(frozen=True, slots=True)
class _Rows:
    """Inputs that lie one behind the other, each with what comes before it.

    Attributes:
        lengths: tokens of each.
        prefixes: of each.
        seen: gets the keys and values that the last input has seen, prefix included, layer by layer.
    """

    lengths: Sequence[int]
    prefixes: Sequence[Prefix]
    seen: list[tuple[torch.Tensor, torch.Tensor]] | None


class PackedDecoder(torch.nn.Module):
    """Does what a `Decoder` does.

    Args:
        decoder: whose model has the attention of this module.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder
        self._prefixes = Prefixes(_PREFIX_BYTES)
        self._last = _LastTokens()
        self._last.limit(decoder.model.layers[-1].mlp)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """As that of `Decoder`."""
        rows = [ids[:length].numpy() for ids, length in zip(input_ids, attention_mask.sum(dim=1).tolist(), strict=True)]
        lengths = shared_lengths(rows, self._prefixes.known)
        prefixes: dict[bytes, Prefix] = {}
        for row, length in zip(rows, lengths, strict=True):
            shared = row[:length]
            if shared.tobytes() not in prefixes:
                prefixes[shared.tobytes()] = self._prefix(shared)
        parts = [(row[length:], prefixes[row[:length].tobytes()]) for row, length in zip(rows, lengths, strict=True)]
        return self._run(parts)

    def _prefix(self, ids: Ids) -> Prefix:
        found = self._prefixes.find(ids)
        if len(found) == len(ids):
            return found
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._run([(ids[len(found) :], found)], seen)
        keys, values = zip(*seen, strict=True)
        prefix = Prefix(ids.copy(), keys, values)
        self._prefixes.keep(prefix)
        return prefix

    def _run(
        self, parts: Sequence[tuple[Ids, Prefix]], seen: list[tuple[torch.Tensor, torch.Tensor]] | None = None
    ) -> torch.Tensor:
        """States of the last token of each part, which are tokens and what comes before them."""
        lengths = [len(ids) for ids, _ in parts]
        rows = _Rows(lengths, [prefix for _, prefix in parts], seen)
        columns = torch.tensor(lengths).cumsum(0) - 1
        self._last.places = (torch.zeros_like(columns), columns)
        return self._decoder.states(
            self._last.places,
            input_ids=torch.from_numpy(np.concatenate([ids for ids, _ in parts]))[None],
            position_ids=torch.cat([torch.arange(len(ids)) + len(prefix) for ids, prefix in parts])[None],
            rows=rows,
        )


def _attend(  # noqa: PLR0913 - as transformers calls it
    layer: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: None,  # noqa: ARG001 - there is none for an attention that transformers does not know
    *,
    scaling: float,
    rows: _Rows,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each input, and to all of its prefix.

    Args:
        layer: tells its number.
        query: shape (1, heads, tokens, features of a head).
        key: shape (1, heads or a divisor of it, tokens, features of a head).
        value: same shape.
        mask: none.
        scaling: of the products of queries and keys.
        rows: where inputs begin and end.

    Returns:
        Shape (1, tokens, heads, features of a head), and no weights.
    """
    result = query.new_empty(query.transpose(1, 2).shape)
    start = 0
    for length, prefix in zip(rows.lengths, rows.prefixes, strict=True):
        own, before = slice(start, start + length), len(prefix)
        keys, values = key[:, :, own], value[:, :, own]
        if before:
            keys = torch.cat([prefix.keys[layer.layer_idx], keys], dim=2)
            values = torch.cat([prefix.values[layer.layer_idx], values], dim=2)
        if rows.seen is not None:
            rows.seen.append((keys.contiguous(), values.contiguous()))
        # With a query for each key, attention is plainly causal, and needs no mask, with which it would be slower.
        queries = pad(query[:, :, own], (0, 0, before, 0))
        found = scaled_dot_product_attention(
            queries, keys, values, is_causal=True, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
        )
        result[:, own] = found[:, :, before:].transpose(1, 2)
        start += length
    return result, None


class _LastTokens:
    """Lets a part of the last layer work on those tokens alone whose states are read; the others get zeros.

    It does not know the model, which would not be freed at once if there were a cycle.

    Attributes:
        places: the tokens.
    """

    def __init__(self) -> None:
        self.places: Places | None = None
        self._shape = torch.Size()

    def limit(self, part: torch.nn.Module) -> None:
        """Install it."""
        part.register_forward_pre_hook(self._gather)
        part.register_forward_hook(self._scatter)

    def _gather(self, _: Any, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (states,) = arguments
        self._shape = states.shape
        return (states[self.places],)

    def _scatter(self, _: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        spread = output.new_zeros(self._shape)
        spread[self.places] = output
        return spread
