"""One call of `Scorer.submit` on its way through the worker. Only the worker thread touches a job's insides."""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import bisect_right
from concurrent.futures import Future
from itertools import chain, islice
from typing import TYPE_CHECKING, Generic

from rebridge.errors import DeadlineExceeded, NoScores, ScorerError
from rebridge.scorers.batch import QUERY, Batch, Input
from rebridge.scorers.cache import text_key
from rebridge.scorers.family import Family, Output

if TYPE_CHECKING:
    from rebridge.scorers.tokens import Tokens
    from rebridge.steps import Windows

logger = logging.getLogger(__name__)

# A job is tokenised in chunks, so that neither memory nor the wait of other jobs grows with its size.
_CHUNK_PASSAGES = 512
_CHUNK_CHARACTERS = 1_000_000


class Job(Generic[Output]):
    """Passages to score against one query, and the scores so far."""

    def __init__(  # noqa: PLR0913 - what a caller of `submit` says, and how to read the model
        self,
        family: Family[Output],
        query: str,
        passages: tuple[str, ...],
        windows: Windows | None,
        deadline: float | None,
        *,
        every_layer: bool = False,
    ) -> None:
        self.future: Future[list[tuple[float, ...]]] = Future()
        self.family = family
        self._query = query
        self._passages = passages
        self._windows = windows
        self._deadline = deadline
        self._every_layer = every_layer
        self._settling = threading.Lock()
        self.settled = False
        self.kept = 0  # windows whose output was in the store

        self._next = 0  # first passage that is not tokenised yet
        self._counts: list[int] = []  # windows of each tokenised passage
        self._scores: list[tuple[float, ...]] = []  # of each window: the last layer's, or every layer's
        self._open = 0  # windows without a score
        self._inputs: list[Input] = []  # waiting, shortest first
        self._query_input: Input | None = None
        self._query_output: Output | None = None
        self._needs_query = False
        self._held: list[tuple[int, Output]] = []  # outputs that wait for the query's
        self._parts: dict[int, tuple[int, list[Output]]] = {}  # of windows in several inputs: how many, outputs so far
        self._blanks = 0  # windows in which there is nothing to read

    def over(self) -> bool:
        """Whether nobody waits for the job any more: it is settled or cancelled, or its deadline has passed."""
        return self.settled or self.future.cancelled() or self._late()

    def expired(self) -> bool:
        """Settle a job that nobody waits for any more; whether there is nothing left to do."""
        if self.future.cancelled():
            self.settle(None)
        elif self._late():
            done = len(self._scores) - self._open
            self.settle(DeadlineExceeded(f"the deadline passed with {done} scores for {len(self._passages)} passages"))
        return self.settled

    def left(self) -> int:
        """How much is to be done: passages that are not tokenised yet, and inputs that wait."""
        return len(self._passages) - self._next + len(self._inputs)

    def prepare(self) -> None:
        """Tokenise until there is something to run, or everything is scored."""
        if not self._counts and self._query_input is None:
            self._read_query()
        # Another job may have had the same query or passages run since these were read.
        self._find_query()
        self._inputs = [item for item in self._inputs if not self._answered(item)]
        while not self._inputs and self._next < len(self._passages):
            self._read_chunk()
        if not self._inputs and self._query_input is None and (self._open or self._needs_query):
            raise ScorerError("the model left passages without a score")  # else the job would never end

    def take(self, batch: Batch[Output]) -> None:
        """Move the longest inputs that fit into the batch; the query goes first."""
        if self._query_input is not None and not batch.reads(self._query_input):
            if not batch.fits(self._query_input.length):
                return
            batch.add(self, self._query_input)
            self._query_input = None
            stop = len(self._inputs)
        else:
            # What follows another job's inputs must not make their rows longer.
            stop = bisect_right(self._inputs, batch.width, key=_length) if batch.inputs else len(self._inputs)
        while stop and batch.fits(self._inputs[stop - 1].length):
            stop -= 1
            batch.add(self, self._inputs.pop(stop))
        parts = 1 if self.family.streams is None else self.family.streams.count
        # Neighbours are about equally long: parts with as many of them each are done at the same time.
        self._inputs[stop:stop] = reversed(batch.without_rest(self, parts))

    def accept(self, item: Input, output: Output | ScorerError) -> None:
        """Note what the model gave for an input; settles the job after the last one, or with its error."""
        if isinstance(output, ScorerError):
            self.settle(output)
            return
        if item.row == QUERY:
            if self.family.queries is not None and item.key is not None:
                self.family.queries.put(item.key, output)
            self._know_query(output)
        else:
            count, outputs = self._parts.get(item.row, (1, []))
            outputs.append(output)
            if len(outputs) == count:
                self._parts.pop(item.row, None)
                self._score(item.row, output if count == 1 else self.family.join(outputs), item.key)
        self.finish_if_done()

    def finish_if_done(self) -> None:
        """Settle the job once every window has its score."""
        if self._open or self._needs_query or self._next < len(self._passages):
            return
        blank = self._blanks == len(self._scores)
        if not blank and not any(map(math.isfinite, chain.from_iterable(self._scores))):
            self.settle(NoScores(f"the model gave no finite score for any of {len(self._passages)} passages"))
            return
        self.settle(None)

    def settle(self, error: ScorerError | None) -> None:
        """Answer the future, once: with the error, or with the scores."""
        with self._settling:
            if self.settled:
                return
            self.settled = True
        scores = iter(self._scores)
        rows = [tuple(chain.from_iterable(islice(scores, count))) for count in self._counts]
        try:
            if not self.future.set_running_or_notify_cancel():
                return
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(rows)
        except BaseException:
            logger.exception("what waits for a scorer failed")  # its own callback, or it answered the future itself

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _read_query(self) -> None:
        tokens = self.family.encode_query(self._query)
        if tokens is not None:
            self._needs_query = True
            key = None if self.family.queries is None else text_key(self._query)
            self._query_input = Input(tokens, QUERY, key)

    def _find_query(self) -> None:
        item, queries = self._query_input, self.family.queries
        output = queries.get(item.key) if item is not None and item.key is not None and queries is not None else None
        if output is not None:
            self._query_input = None
            self._know_query(output)

    def _know_query(self, output: Output) -> None:
        self._query_output = output
        self._needs_query = False
        held, self._held = self._held, []
        for row, waiting in held:
            self._score(row, waiting)

    def _read_chunk(self) -> None:
        texts: list[str] = []
        characters = 0
        while self._next < len(self._passages) and len(texts) < _CHUNK_PASSAGES and characters < _CHUNK_CHARACTERS:
            passage = self._passages[self._next]
            pieces = self.family.cut(passage, self._windows) if self._windows is not None else [passage]
            texts.extend(pieces)
            characters += len(passage)
            self._counts.append(len(pieces))
            self._next += 1
        first = len(self._scores)
        self._scores.extend([(math.nan,)] * len(texts))
        self._open += len(texts)
        self._inputs = sorted(self._encode(first, texts), key=_length)

    def _encode(self, first: int, texts: list[str]) -> list[Input]:
        """Inputs of the texts whose output is not in the store; the others are scored at once."""
        store = self.family.store
        rows = range(first, first + len(texts))
        if store is None:
            encoded = self.family.encode(self._query, texts)
            return [part for row, tokens in zip(rows, encoded, strict=True) for part in self._split(tokens, row)]
        missing: list[tuple[int, str, bytes]] = []
        keys = [text_key(text) for text in texts]
        found = store.find(keys)
        for row, text, key in zip(rows, texts, keys, strict=True):
            output = found.get(key)
            if output is None:
                missing.append((row, text, key))
            else:
                self.kept += 1
                self._score(row, output)
        encoded = self.family.encode(self._query, [text for _, text, _ in missing])
        pairs = zip(missing, encoded, strict=True)
        return [part for (row, _, key), tokens in pairs for part in self._split(tokens, row, key)]

    def _answered(self, item: Input) -> bool:
        """Score an input whose output has come into the store; whether it had."""
        output = self.family.store.get(item.key) if self.family.store is not None and item.key is not None else None
        if output is None:
            return False
        self.kept += 1
        self._score(item.row, output)
        return True

    def _split(self, tokens: Tokens, row: int, key: bytes | None = None) -> list[Input]:
        """What the model reads of a text. A text in which there is nothing to read is scored at once."""
        parts = self.family.split(tokens)
        if len(parts) > 1:
            self._parts[row] = (len(parts), [])
        elif not parts:
            self._scores[row] = (-math.inf,) * self.family.layers if self._every_layer else (math.nan,)
            self._blanks += 1
            self._open -= 1
        return [Input(part, row, key) for part in parts]

    def _score(self, row: int, output: Output, key: bytes | None = None) -> None:
        if self._needs_query:
            self._held.append((row, output))
            return
        family, query = self.family, self._query_output
        store = family.store if key is not None else None
        passage = output if store is None else store.rounded(output)
        scores = family.finish_layers(query, passage) if self._every_layer else (family.finish(query, passage),)
        self._scores[row] = tuple(score if math.isfinite(score) else math.nan for score in scores)
        self._open -= 1
        if key is not None and store is not None and all(map(math.isfinite, scores)):
            store.put(key, output)


def _length(item: Input) -> int:
    return item.length
