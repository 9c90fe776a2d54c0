"""Beginnings that prompts share: which are worth running once, and what is known of those that were run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

# A run through the model reads all its weights, which takes as long as computing about this many tokens.
_LEAST_SPARED = 32

# Each search is looked for among all that is kept.
_MOST_KEPT = 64


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first tokens of prompts, with what later tokens need to know of them.

    Attributes:
        ids: shape (length,).
        keys: of each layer, with their positions; shape (1, heads, length, features of a head). None for no tokens.
        values: of each layer; same shape.
    """

    ids: Ids
    keys: tuple[torch.Tensor, ...] = ()
    values: tuple[torch.Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bytes(self) -> int:
        """Size of keys and values."""
        return sum(part.nbytes for part in (*self.keys, *self.values))

    def first(self, length: int) -> Prefix:
        """The beginning of this one; it shares its memory."""
        keys, values = (tuple(part[:, :, :length] for part in parts) for parts in (self.keys, self.values))
        return Prefix(self.ids[:length], keys, values)


class Prefixes:
    """The prefixes that were used last, up to a number of bytes.

    Args:
        max_bytes: most bytes of keys and values.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Prefix] = OrderedDict()
        self._bytes = 0

    def known(self, ids: Ids) -> int:
        """How many tokens at the beginning of these are known."""
        return self._longest(ids)[0]

    def find(self, ids: Ids) -> Prefix:
        """What is known of the longest beginning of these tokens: a prefix that is kept, or its beginning."""
        length, key = self._longest(ids)
        if not length:
            return Prefix(ids[:0])
        self._kept.move_to_end(key)
        return self._kept[key].first(length)

    def keep(self, prefix: Prefix) -> None:
        """Add one that is not kept yet, if it is not too large, and drop those whose use is longest ago."""
        if prefix.bytes > self._max_bytes:
            return
        self._kept[prefix.ids.tobytes()] = prefix
        self._bytes += prefix.bytes
        while self._bytes > self._max_bytes or len(self._kept) > _MOST_KEPT:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.bytes

    def _longest(self, ids: Ids) -> tuple[int, bytes]:
        """How many tokens a kept prefix has in common with these, and its key."""
        return max(((common(kept.ids, ids), key) for key, kept in self._kept.items()), default=(0, b""))


def shared_lengths(rows: Sequence[Ids], known: Callable[[Ids], int]) -> list[int]:
    """How many tokens at the beginning of each row to take from a prefix instead of running them with the row.

    Rows are divided by their first tokens, as in a radix tree. At each fork the common beginning becomes a prefix if
    that spares enough tokens beyond the prefix that the rows have already, or that is known. The last token always
    stays with its row, since it is the one whose state is read.

    Args:
        rows: token ids, each of shape (length,), not empty.
        known: how many tokens at the beginning of the given ones were run before.

    Returns:
        One number per row.
    """
    lengths = [0] * len(rows)
    waiting = [(0, sorted(range(len(rows)), key=lambda row: rows[row].tolist()))] if rows else []
    while waiting:
        taken, members = waiting.pop()
        first, last = rows[members[0]], rows[members[-1]]
        # In sorted order the first and the last have no more in common than all have.
        fork = min(common(first, last), min(len(rows[row]) for row in members) - 1)
        taken = max(taken, known(first[:fork]))
        if (len(members) - 1) * (fork - taken) >= _LEAST_SPARED:
            taken = fork
        for row in members:
            lengths[row] = taken
        longer = [row for row in members if len(rows[row]) > fork + 1] if len(members) > 1 else []
        parts = groupby(longer, key=lambda row: int(rows[row][fork]))
        waiting += [(taken, list(part)) for _, part in parts]
    return lengths


def common(one: Ids, other: Ids) -> int:
    """How many tokens at their beginning are the same."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length
