"""Where the tokens of a batch lie once its padding is left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import pad

from rebridge.scorers.encoders.linear import missing_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours that are equally long, which attention takes at once.

    Attributes:
        first: number of their first token.
        inputs: how many they are.
        length: tokens of each.
        attended: how many of these, from the first one, all of them attend to.
    """

    first: int
    inputs: int
    length: int
    attended: int

    @property
    def tokens(self) -> slice:
        """Where their tokens are."""
        return slice(self.first, self.first + self.inputs * self.length)


class Layout:
    """The inputs of a batch, one behind the other without padding.

    Args:
        mask: shape (inputs, longest input); 1 for tokens that are attended to, then 0. An input without tokens counts
            as one token, because a model reads no empty inputs.
        lengths: tokens of each input, where some are not attended to; None if all are.
        filled: whether rows are filled up.

    Attributes:
        runs: neighbours that are equally long.
        tokens: how many all inputs have.
        positions: position of each token in its input, shape (rows,). Rows are the tokens, then, if so wanted, fillers
            up to a number that `Linear` need not fill up for each product.
    """

    def __init__(self, mask: torch.Tensor, lengths: Sequence[int] | None = None, *, filled: bool = False) -> None:
        attended = [max(1, count) for count in mask.sum(dim=1).tolist()]
        longer = attended if lengths is None else [max(1, length) for length in lengths]
        self._shape = mask.shape
        columns = torch.arange(mask.shape[1], device=mask.device)
        kept = columns < torch.tensor(longer, device=mask.device)[:, None]
        places = kept.flatten().nonzero().squeeze(1)
        self.tokens = len(places)
        fillers = missing_rows(self.tokens) if filled else 0
        self._places = pad(places, (0, fillers))  # the first token again and again
        self.positions = columns.expand(self._shape).flatten()[self._places]
        self.runs = tuple(_runs(zip(longer, attended, strict=True)))

    def pack(self, states: torch.Tensor) -> torch.Tensor:
        """From shape (inputs, longest input, features) to (rows, features)."""
        return states.flatten(0, 1)[self._places]

    def unpack(self, states: torch.Tensor) -> torch.Tensor:
        """Back to shape (inputs, longest input, features); padding is 0."""
        padded = states.new_zeros(self._shape.numel(), states.shape[1])
        padded[self._places[: self.tokens]] = states[: self.tokens]
        return padded.view(*self._shape, -1)


def _runs(lengths: Iterator[tuple[int, int]]) -> Iterator[Run]:
    first = 0
    for (length, attended), equal in groupby(lengths):
        run = Run(first, len(list(equal)), length, attended)
        yield run
        first = run.tokens.stop
