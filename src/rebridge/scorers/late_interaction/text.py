"""Texts to the inputs of late-interaction models: a marker behind the first token, and which tokens are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rebridge.scorers.tokens import TextEncoder, Tokens, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rebridge.steps import Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedTokens(Tokens):
    """A query or a passage.

    Attributes:
        attended: how many tokens, from the first one, the model attends to.
        compared: whether a token takes part in the score, shape (length,).
    """

    attended: int
    compared: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """How one side, queries or passages, is read.

    Attributes:
        length: most tokens, special tokens and the marker included.
        marker: id of the token that tells queries from passages; None for none.
        prompt: text that is put before each text.
        lower_case: whether texts are lower-cased before they are tokenised.
        skipped: ids of tokens that the model reads but that are not compared.
        expansion: id of the token that fills up short texts and is compared like any other; None for no filling.
        attend_to_expansion: whether the model attends to those tokens.
    """

    length: int
    marker: int | None = None
    prompt: str = ""
    lower_case: bool = False
    skipped: tuple[int, ...] = ()
    expansion: int | None = None
    attend_to_expansion: bool = False


class SideEncoder(TextEncoder):
    """A tokenizer with the rules of one side.

    Args:
        tokenizer: a fast tokenizer of transformers.
        side: the rules.
    """

    def __init__(self, tokenizer: Any, side: Side) -> None:
        super().__init__(tokenizer, side.length - (side.marker is not None))
        self._side = side
        self._skipped = np.asarray(side.skipped, dtype=np.int32)

    def singles(self, texts: Sequence[str]) -> list[Tokens]:
        """One `MarkedTokens` per text: cut at the end, marked, filled up if the side says so."""
        prompted = [self._normal(self._side.prompt + text) for text in texts]
        return [self._mark(tokens) for tokens in super().singles(prompted)]

    def cut(self, text: str, windows: Windows) -> list[str]:
        """Cut a text, stripped and lower-cased as the model reads it, into windows of tokens."""
        return super().cut(self._normal(text), windows)

    def pad(self, batch: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """The model's arguments; the model attends to neither padding nor, unless told so, expansion."""
        arrays = super().pad(batch)
        for row, tokens in enumerate(cast("Sequence[MarkedTokens]", batch)):
            arrays["attention_mask"][row, tokens.attended :] = 0
        return arrays

    def _normal(self, text: str) -> str:
        text = clean(text).strip()
        # Not left to the tokenizer, which finds special tokens first: a "[CLS]" in a text is no special token here.
        return text.lower() if self._side.lower_case else text

    def _mark(self, tokens: Tokens) -> MarkedTokens:
        ids, types = tokens.ids, tokens.types
        if self._side.marker is not None:
            ids = np.concatenate([ids[:1], np.asarray([self._side.marker], dtype=np.int32), ids[1:]])
        attended = len(ids)
        if self._side.expansion is not None:
            ids = np.concatenate([ids, np.full(self._side.length - attended, self._side.expansion, dtype=np.int32)])
            attended = len(ids) if self._side.attend_to_expansion else attended
        if types is not None:
            # A single text is all of segment 0.
            types = np.zeros(len(ids), dtype=np.int32)
        return MarkedTokens(ids, types, attended=attended, compared=~np.isin(ids, self._skipped))
