"""What every scorer is: (query, passages) -> floats. A scorer never sorts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from rebridge.errors import ScorerError
from rebridge.normalisers import logistic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from rebridge.scorers.reading import Reading
    from rebridge.steps import Windows

Activation = Literal["identity", "sigmoid"]


@dataclass(slots=True)
class Counts:
    """What a model has done so far.

    Attributes:
        batches: batches that went through it.
        inputs: inputs in them: pairs, passages or queries.
        tokens: tokens of these inputs.
        room: tokens that the batches could have held; ``tokens`` / ``room`` is how full they were.
        kept: passages that were not computed, because their embeddings had been kept.
        store_failures: how often embeddings could not be read from disk or written to it.
        score_hits: passages that the model was not asked for, because their scores for the query had been kept.
        score_misses: passages that it was asked for although scores are kept.
    """

    batches: int = 0
    inputs: int = 0
    tokens: int = 0
    room: int = 0
    kept: int = 0
    store_failures: int = 0
    score_hits: int = 0
    score_misses: int = 0


def activate(raw: float, activation: Activation) -> float:
    """Turn a raw score into the official one, in double precision whatever the model computed in."""
    return raw if activation == "identity" else logistic(raw)


def checked_passages(passages: Sequence[str]) -> tuple[str, ...]:
    """The passages, unless they are a single text, whose characters would be scored one by one.

    Raises:
        ScorerError: if they are.
    """
    if isinstance(passages, str):
        raise ScorerError("passages must be a list of texts, not one text: pass [text]")
    return tuple(passages)


class Scorer(ABC):
    """Scores passages against a query.

    Public methods check; families implement `submit`.

    Attributes:
        name: the model's name, as shown to users.
        activation: what turns a raw score into the model's official score.
        layers: how many scores a passage has: more than one for a model that is read after several of its layers.
        reads_queries: whether it reads queries apart from passages, so that `announce` spares time.
        fingerprint: what its scores depend on besides texts, if that was read when it was opened; None if nobody knows.
    """

    name: str
    activation: Activation = "identity"
    layers: int = 1
    reads_queries: bool = False
    fingerprint: str | None = None

    @abstractmethod
    def submit(
        self,
        query: str,
        passages: Sequence[str],
        *,
        windows: Windows | None = None,
        deadline: float | None = None,
    ) -> Future[list[tuple[float, ...]]]:
        """Queue passages for scoring; returns at once.

        Args:
            query: the query text.
            passages: texts to score; an empty text is scored like any other.
            windows: cut long passages into windows of tokens; None leaves truncation to the model.
            deadline: `time.monotonic` value after which the work is given up.

        Returns:
            A future of one tuple per passage, in order: the raw scores of its windows (one score where ``windows``
            is None), for several layers those of the last. NaN where the model gave no finite number, or found nothing
            to read. Cancelling the future stops the work at the next batch. The future fails with `DeadlineExceeded`
            or another `ScorerError`.

        Raises:
            ScorerError: if ``passages`` is one text.
        """

    def announce(self, query: str, *, deadline: float | None = None) -> None:  # noqa: B027 - most have nothing to do
        """Say that passages for this query are likely to follow, while they are fetched; returns at once.

        If it ``reads_queries`` it does so meanwhile. Nothing else comes of it, and a failure shows when passages are
        submitted.

        Args:
            query: the query text.
            deadline: as for `submit`.
        """

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[list[tuple[float, ...]]]:
        """Queue passages; the future gives the raw scores of each passage after each layer, ascending.

        Without several layers that is what `submit` gives, but minus infinity for a passage in which the model finds
        nothing to read.
        """
        return self.submit(query, passages)

    def reading(
        self,
        query: str,  # noqa: ARG002 - for those who override it
        passage: str,  # noqa: ARG002
        *,
        windows: Windows | None = None,  # noqa: ARG002
    ) -> Reading | None:
        """How much of a passage the model reads; None if the scorer cannot tell."""
        return None

    def raw_scores(self, query: str, passages: Sequence[str]) -> list[float] | Any:
        """The model's raw scores (logits, cosines), in the order of the passages.

        Returns:
            One number per passage. If the scorer has several layers (only then, hence Any), one list per passage:
            a number per layer, ascending. All are finite, but for minus infinity for a passage in which the model
            finds nothing to read: bce-reranker takes none without words.

        Raises:
            ScorerError: if the model fails or gives a score that is not finite.
        """
        return self._one_or_all(self._rows(query, passages))

    def score(self, query: str, passages: Sequence[str]) -> list[float] | Any:
        """The model's official scores, in the order of the passages.

        Returns:
            As `raw_scores`; where the activation is a sigmoid, minus infinity has become 0.

        Raises:
            ScorerError: as `raw_scores`.
        """
        rows = self._rows(query, passages)
        return self._one_or_all([[activate(raw, self.activation) for raw in row] for row in rows])

    def _one_or_all(self, rows: list[list[float]]) -> list[float] | list[list[float]]:
        return rows if self.layers > 1 else [row[0] for row in rows]

    def _rows(self, query: str, passages: Sequence[str]) -> list[list[float]]:
        """The checked raw scores: per passage one of each layer."""
        if not checked_passages(passages):
            return []
        rows = [list(row) for row in self.submit_layers(query, passages).result()]
        if len(rows) != len(passages):
            raise ScorerError(f"{self.name} gave {len(rows)} scores for {len(passages)} passages")
        odd = [index for index, row in enumerate(rows) if not all(map(_is_score, row))]
        if odd:
            raise ScorerError(f"{self.name} gave no finite score for the passages {odd[:10]}")
        return rows

    def memory_bytes(self) -> int:
        """Bytes of the weights that this process holds for it; 0 if it cannot tell."""
        return 0

    def counts(self) -> Counts:
        """What the model has done so far; all 0 if it cannot tell."""
        return Counts()

    def busy_since(self) -> float | None:
        """`time.monotonic` value since which the model has been at the same batch; None if it is at none.

        A model that is stuck in a batch answers nobody any more.
        """
        return None

    def close(self) -> None:  # noqa: B027 - most scorers hold nothing
        """Free what the scorer holds. Calling it twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_score(raw: float) -> bool:
    return math.isfinite(raw) or raw == -math.inf
