"""How much of a passage a model reads: what its limits cut off is part of no score."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from rebridge.scorers.family import Family, Output
from rebridge.scorers.jobs import Job
from rebridge.steps import Windows


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads of a passage. Tokens are the passage's own; neither query nor special tokens count.

    Attributes:
        tokens: how many the passage has.
        windows: how many each of its windows has; one entry where it is not cut.
        read: how many of each window the model reads, from its start.
        unread: how many tokens behind the last one that is read.
        unread_text: how they begin; empty if there are none.
    """

    tokens: int
    windows: tuple[int, ...]
    read: tuple[int, ...]
    unread: int
    unread_text: str


class Look(Job[Output]):
    """A job that only looks, in the worker's thread, since tokenizers are not safe to share.

    Attributes:
        found: what the model reads; None until the future is done.
    """

    def __init__(self, family: Family[Output], query: str, passage: str, windows: Windows | None) -> None:
        super().__init__(family, query, (), windows, None)
        self.found: Reading | None = None
        self._look = (query, passage, windows)

    def prepare(self) -> None:
        """Look."""
        self.found = _reading(self.family, *self._look)


def _reading(family: Family[Output], query: str, passage: str, windows: Windows | None) -> Reading:
    pieces = family.cut(passage, windows) if windows is not None else [passage]
    lengths = [_count(family, piece) for piece in pieces]
    read = [_read(family, query, piece, length) for piece, length in zip(pieces, lengths, strict=True)]
    tokens = _count(family, passage)
    end = read[-1] + (len(pieces) - 1) * (windows.stride if windows is not None else 0)
    # The second of two pieces is what follows the first.
    rest = family.cut(passage, Windows(end, end, limit=2))[1] if 0 < end < tokens else ""
    return Reading(tokens, tuple(lengths), tuple(read), tokens - end, rest if end else passage)


def _count(family: Family[Output], text: str) -> int:
    """How many tokens a text has."""
    return len(family.cut(text, Windows(1, 1, limit=sys.maxsize)))


def _read(family: Family[Output], query: str, text: str, tokens: int) -> int:
    """The fewest tokens from a text's start that make the same input as the whole text: the rest is not read."""
    (whole,) = family.encode(query, [text])
    low, high = 0, tokens
    while low < high:
        middle = (low + high) // 2
        start = family.cut(text, Windows(middle, middle, limit=1))[0] if middle else ""
        (part,) = family.encode(query, [start])
        if np.array_equal(part.ids, whole.ids):
            high = middle
        else:
            low = middle + 1
    return low
