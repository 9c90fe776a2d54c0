"""The layers of DeBERTa-v2: attention that also compares contents with relative positions, without gathers.

He et al., DeBERTa (ICLR 2021), https://openreview.net/forum?id=XPZIaotutsD, section 3.1. Of the products

    A[i, j] = q[i] k[j] + q[i] pk[i - j] + k[j] pq[i - j]

the positions' keys pk and queries pq depend on the weights alone, so they are computed once. The second product is one
of all q with the 2 L - 1 rows of pk that L tokens need, in the order of falling i - j: the number for [i, j] stands
in row i at column L - 1 + j - i, which is a view with another stride. The third likewise, rows and columns exchanged.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.encoders.attention import attend
from rebridge.scorers.encoders.bert import FeedForward
from rebridge.scorers.encoders.linear import Linear

if TYPE_CHECKING:
    from rebridge.scorers.encoders.layout import Layout
    from rebridge.scorers.encoders.linear import Kind

#: Rows that are taken at once: of long inputs a part, so that products stay in the processor's cache, and less of those
#: columns is computed that no row of the part needs.
_BLOCK = 64
_KINDS = frozenset({"c2p", "p2c"})


class DebertaLayer(torch.nn.Module):
    """One layer.

    Args:
        layer: the same of transformers.
        config: of the model.
        positions: the embeddings of relative positions, shape (2 * span, features).
        kind: what multiplies; None for the faster one.
    """

    def __init__(self, layer: Any, config: Any, positions: torch.Tensor, kind: Kind | None) -> None:
        super().__init__()
        own = layer.attention.self
        self._inputs = Linear(own.query_proj, own.key_proj, own.value_proj, kind=kind)
        self._heads = int(config.num_attention_heads)
        kinds = _KINDS.intersection(config.pos_att_type)
        # Divided by this instead of each number of the products.
        self._scale = 1.0 / math.sqrt(own.attention_head_size * (1 + len(kinds)))
        key, query = ("key_proj", "query_proj") if own.share_att_key else ("pos_key_proj", "pos_query_proj")
        self._keys: torch.Tensor | None
        self._queries: torch.Tensor | None
        for name, kind_of, projection in (("_keys", "c2p", key), ("_queries", "p2c", query)):
            table = self._table(getattr(own, projection), positions) if kind_of in kinds else None
            self.register_buffer(name, table, persistent=False)
        self._rest = FeedForward(layer, kind)

    def forward(self, states: torch.Tensor, layout: Layout, buckets: torch.Tensor) -> torch.Tensor:
        """The next states, shape (rows, features).

        Args:
            states: shape (rows, features).
            layout: where inputs begin and end.
            buckets: row of the positions' tables for each i - j, from the lowest to the highest, for some length that
                is at least the longest input's; shape (2 * that length - 1,).
        """
        middle = len(buckets) // 2
        # For whom the positions are looked up: queries by keys of positions, keys by queries.
        keys = None if self._keys is None else self._keys.index_select(1, buckets.flip(0))
        queries = None if self._queries is None else self._queries.index_select(1, buckets)

        def bias(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            length = query.shape[2]
            added, empty = query.new_empty(*query.shape[:3], length), True
            for table, source, result in ((keys, query, added), (queries, key, added.transpose(2, 3))):
                if table is None:
                    continue
                for start in range(0, length, _BLOCK):
                    stop = min(start + _BLOCK, length)
                    rows = table[:, middle - stop + 1 : middle + length - start]
                    product = _skewed(_product(source[:, :, start:stop], rows))
                    part = result[:, :, start:stop]
                    part.copy_(product) if empty else part.add_(product)
                empty = False
            return added

        attended = attend(self._inputs(states), layout, self._heads, bias, self._scale)
        following: torch.Tensor = self._rest(attended, states)
        return following

    def _table(self, project: torch.nn.Linear, positions: torch.Tensor) -> torch.Tensor:
        """Shape (heads, 2 * span, features of a head)."""
        rows: torch.Tensor = project(positions).detach() * self._scale
        return rows.view(len(rows), self._heads, -1).transpose(0, 1).contiguous()


def _product(states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Products of states, shape (inputs, heads, length, size), with a table's rows; one row per state."""
    inputs, heads, length, size = states.shape
    product = torch.bmm(states.transpose(0, 1).reshape(heads, inputs * length, size), table.transpose(1, 2))
    return product.view(heads, inputs, length, -1).transpose(0, 1)


def _skewed(product: torch.Tensor) -> torch.Tensor:
    """Of row a, of so many, the column ``rows - 1 + b - a`` as column b, without a copy."""
    inputs, heads, rows, columns = product.shape
    of_input, of_head, of_row, _ = product.stride()
    return product.as_strided(
        (inputs, heads, rows, columns - rows + 1),
        (of_input, of_head, of_row - 1, 1),
        product.storage_offset() + rows - 1,
    )


def bucket_rows(config: Any, length: int, span: int) -> torch.Tensor:
    """Row of the positions' tables for each i - j from ``1 - length`` to ``length - 1``."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    relative = torch.arange(1 - length, length)
    most, buckets = _most(config), _buckets(config)
    if buckets > 0 and most > 0:
        relative = make_log_bucket_position(relative, buckets, most).long()
    return (relative + span).clamp(0, 2 * span - 1)


def _most(config: Any) -> int:
    most = getattr(config, "max_relative_positions", -1)
    return int(most if most >= 1 else config.max_position_embeddings)


def _buckets(config: Any) -> int:
    return int(getattr(config, "position_buckets", -1))


def span_of(config: Any) -> int:
    """Rows of the embeddings for positions on either side."""
    return _buckets(config) if _buckets(config) > 0 else _most(config)


def supports(config: Any) -> bool:
    """Whether `DebertaLayer` does all that this configuration asks for."""
    kinds = config.pos_att_type or []
    return (
        bool(getattr(config, "relative_attention", False))
        and bool(kinds)
        and _KINDS.issuperset(kinds)
        and getattr(config, "conv_kernel_size", 0) <= 0
    )
