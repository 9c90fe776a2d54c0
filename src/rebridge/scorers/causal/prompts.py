"""What a language model is asked about query and passage, as token ids. Parts of a prompt are tokenised apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rebridge.scorers.tokens import TextEncoder

    Ids = NDArray[np.int32]

_FIELD = re.compile(r"\{(instruction|query|passage)\}")
_SEPARATOR = "\n"


class Prompt(Protocol):
    """Makes one input of query and passage."""

    def encode(self, query: str, passages: Sequence[str]) -> list[Ids]:
        """Token ids, one array of shape (length,) per passage; never empty."""


def fill(template: str, **texts: str) -> str:
    """Put texts into ``{instruction}``, ``{query}`` and ``{passage}``; braces elsewhere, also in the texts, stay."""
    return _FIELD.sub(lambda field: texts[field[1]], template)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a prompt may become, in tokens.

    Attributes:
        positions: that the model has.
        max_length: as the official code of the model counts it.
        query_max_length: of the query; None for three quarters of ``max_length``.
    """

    positions: int
    max_length: int
    query_max_length: int | None = None


@dataclass(frozen=True, slots=True)
class PairTexts:
    r"""A prompt of the form lead, query, newline, passage, newline, task, suffix.

    Attributes:
        query: with ``{query}``.
        passage: with ``{passage}``.
        task: what to answer.
        instruction: with ``{instruction}``; put before the query if there is one.
        lead: before everything.
        suffix: after everything.
        bos: whether the tokenizer's first token goes before the lead; ``unless_padding``: not if it is also padding.
        task_extends: whether ``max_length`` grows by newline and task, as in FlagEmbedding. (If so, it covers the
            lead too; if not, query, newline and passage alone.)
    """

    query: str
    passage: str
    task: str
    instruction: str = ""
    lead: str = ""
    suffix: str = ""
    bos: Literal["never", "unless_padding", "always"] = "never"
    task_extends: bool = False


class PairPrompt:
    """The prompt of mxbai-rerank 0.1.6 (``MxbaiRerankV2.prepare_inputs``) and of FlagEmbedding 1.4.2's decoders.

    Query and passage are cut to their limits, then the passage again until both fit.

    Args:
        text: the tokenizer.
        texts: the prompt.
        limits: its length; clamped to what the model has positions for.
        bos: id of the first token, as ``texts.bos`` wants it.
        instruction: what to look for; empty for none.

    Raises:
        UnsupportedModel: if the model has not even positions for the prompt.
    """

    def __init__(self, text: TextEncoder, texts: PairTexts, limits: Limits, bos: int | None, instruction: str) -> None:
        self._text = text
        self._texts = texts
        self._before_query = fill(texts.instruction, instruction=instruction) if instruction else ""
        lead, self._separator, task, suffix = text.ids([texts.lead, _SEPARATOR, texts.task, texts.suffix])
        self._lead = _join([] if bos is None else [bos], lead)
        self._tail = _join(self._separator, task, suffix)
        extra = len(self._tail) - len(self._lead) if texts.task_extends else 0
        most = limits.positions - len(self._lead) - len(self._tail) - extra
        if most < 1:
            raise UnsupportedModel(f"the model's {limits.positions} positions leave no room beside the prompt")
        self._most = min(limits.max_length, most)
        self._most_query = limits.query_max_length or self._most * 3 // 4
        self._room = self._most + extra

    def encode(self, query: str, passages: Sequence[str]) -> list[Ids]:
        """Token ids of each prompt."""
        (ids,) = self._text.ids([self._before_query + fill(self._texts.query, query=query)])
        start = _join(self._lead, ids[: self._most_query], self._separator)
        room = max(0, min(self._most, self._room - len(start) + len(self._lead)))
        rows = self._text.ids([fill(self._texts.passage, passage=passage) for passage in passages])
        return [_join(start, row[:room], self._tail) for row in rows]


@dataclass(frozen=True, slots=True)
class ChatTexts:
    """A prompt of the form lead, body, suffix, whose body is tokenised as a whole.

    Attributes:
        lead: before everything.
        body: with ``{instruction}``, ``{query}`` and ``{passage}``.
        suffix: after everything.
    """

    lead: str
    body: str
    suffix: str


class ChatPrompt:
    """The prompt of Qwen3-Reranker's README: the body is cut at its end until everything fits.

    Args:
        text: the tokenizer.
        texts: the prompt.
        limits: its length; clamped to what the model has positions for.
        instruction: what to look for.

    Raises:
        ConfigError: if ``max_length`` leaves no room for query and passage.
    """

    def __init__(self, text: TextEncoder, texts: ChatTexts, limits: Limits, instruction: str) -> None:
        self._text = text
        self._body = texts.body
        self._instruction = instruction
        self._lead, self._suffix = text.ids([texts.lead, texts.suffix])
        length = min(limits.max_length, limits.positions)
        self._room = length - len(self._lead) - len(self._suffix)
        if self._room < 1:
            raise ConfigError(
                f"max_length={length} leaves no room for a text: the prompt alone has {length - self._room} tokens"
            )

    def encode(self, query: str, passages: Sequence[str]) -> list[Ids]:
        """Token ids of each prompt."""
        bodies = [fill(self._body, instruction=self._instruction, query=query, passage=text) for text in passages]
        return [_join(self._lead, row[: self._room], self._suffix) for row in self._text.ids(bodies)]


class TemplatePrompt:
    """A prompt from a user's own template, tokenised as a whole as the model would see it in a chat.

    What is too long is cut from the texts, so that the end of the template, which asks for the answer, is always there:
    a query to three quarters of the room at most, then the passage.

    Args:
        text: the tokenizer.
        template: with ``{query}`` and ``{passage}``, ``{instruction}`` filled already.
        limits: ``max_length`` counts everything; clamped to what the model has positions for.
        bos: id of the token that the tokenizer puts first; None if it puts none.

    Raises:
        ConfigError: if ``max_length`` leaves no room for query and passage.
    """

    def __init__(self, text: TextEncoder, template: str, limits: Limits, bos: int | None) -> None:
        self._text = text
        self._template = template
        self._bos = bos
        self._length = min(limits.max_length, limits.positions)
        (empty,) = self._ids("", [""])
        room = self._length - len(empty)
        self._most_query = room * 3 // 4
        if self._most_query < 1:
            raise ConfigError(
                f"max_length={self._length} leaves no room for a text: the template alone has {len(empty)} tokens"
            )

    def encode(self, query: str, passages: Sequence[str]) -> list[Ids]:
        """Token ids of each prompt."""
        query = self._text.cut(query, Windows(self._most_query, self._most_query, limit=1))[0]
        rows = self._ids(query, passages)
        return [
            row if len(row) <= self._length else self._fit(query, passage, len(row))
            for row, passage in zip(rows, passages, strict=True)
        ]

    def _fit(self, query: str, passage: str, length: int) -> Ids:
        """Shorten until it fits; where texts meet tokens may merge, so that takes more than one step at times."""
        while True:
            overflow = length - self._length
            if passage:
                passage = self._shorten(passage, overflow)
            else:
                query = self._shorten(query, overflow)
            (row,) = self._ids(query, [passage])
            if len(row) <= self._length:
                return row
            length = len(row)

    def _shorten(self, text: str, overflow: int) -> str:
        """The text without so many tokens at its end, and without a character at least."""
        (ids,) = self._text.ids([text])
        keep = len(ids) - overflow
        return self._text.cut(text, Windows(keep, keep, limit=1))[0][: len(text) - 1] if keep > 0 else ""

    def _ids(self, query: str, passages: Sequence[str]) -> list[Ids]:
        rows = self._text.ids([fill(self._template, query=query, passage=passage) for passage in passages])
        if self._bos is None:
            return rows
        # The template may name that token itself.
        return [row if len(row) and row[0] == self._bos else _join([self._bos], row) for row in rows]


def _join(*parts: Ids | list[int]) -> Ids:
    return np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])
