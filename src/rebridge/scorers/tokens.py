"""Texts to tokens and tokens to padded arrays: what all local families share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rebridge.steps import Windows

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One input of a model.

    Attributes:
        ids: token ids, shape (length,).
        types: segment of each token, shape (length,); None if the model knows no segments.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def clean(text: str) -> str:
    """The text as valid Unicode: surrogate pairs become their character, lone surrogates U+FFFD."""
    if _SURROGATES.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class TextEncoder:
    """A fast tokenizer with the model's limits.

    Args:
        tokenizer: a fast tokenizer of transformers.
        max_length: most tokens of an input, special tokens included.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.max_length = max_length
        self._tokenizer = tokenizer
        self._padding_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    def singles(self, texts: Sequence[str]) -> list[Tokens]:
        """One input per text, cut at the end."""
        return self._encode([clean(text) for text in texts])

    def pairs(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """One input per passage: query and passage, tokens removed from the longer side first."""
        return self._encode([clean(query)] * len(passages), [clean(passage) for passage in passages])

    def ids(self, texts: Sequence[str], limit: int | None = None) -> list[NDArray[np.int32]]:
        """Token ids of each text alone, without special tokens; of long texts the first ``limit``."""
        if not texts:
            return []
        rows = self._tokenizer(
            [clean(text) for text in texts],
            add_special_tokens=False,
            truncation=limit is not None,
            max_length=limit,
            return_attention_mask=False,
            verbose=False,
        )["input_ids"]
        return [np.asarray(row, dtype=np.int32) for row in rows]

    def _encode(self, *columns: list[str]) -> list[Tokens]:
        if not columns[0]:
            return []
        encoded = self._tokenizer(
            *columns, truncation="longest_first", max_length=self.max_length, return_attention_mask=False, verbose=False
        )
        ids = [np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]]
        if "token_type_ids" not in encoded:
            return [Tokens(row) for row in ids]
        types = (np.asarray(row, dtype=np.int32) for row in encoded["token_type_ids"])
        return [Tokens(row, segments) for row, segments in zip(ids, types, strict=True)]

    def cut(self, text: str, windows: Windows) -> list[str]:
        """Cut a text into windows of tokens, special tokens not counted; a short text comes back as it is."""
        text = clean(text)
        offsets = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
        )["offset_mapping"]
        if len(offsets) <= windows.size:
            return [text]
        starts = range(0, len(offsets) - windows.size + windows.stride, windows.stride)[: windows.limit]
        spans = (offsets[start : start + windows.size] for start in starts)
        return [text[span[0][0] : span[-1][1]] for span in spans]

    def pad(self, batch: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """The model's arguments, each of shape (inputs, longest input); padding is on the right and masked."""
        shape = (len(batch), max(1, *(len(tokens) for tokens in batch)))
        arrays = {
            "input_ids": np.full(shape, self._padding_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, np.int64),
        }
        if batch[0].types is not None:
            arrays["token_type_ids"] = np.zeros(shape, dtype=np.int64)
        for row, tokens in enumerate(batch):
            arrays["input_ids"][row, : len(tokens)] = tokens.ids
            arrays["attention_mask"][row, : len(tokens)] = 1
            if tokens.types is not None:
                arrays["token_type_ids"][row, : len(tokens)] = tokens.types
        return arrays
