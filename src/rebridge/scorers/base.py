"""What every scorer is: (query, passages) -> floats. A scorer never sorts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, Self

from rebridge.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from rebridge.steps import Windows

Activation = Literal["identity", "sigmoid"]


def activate(raw: float, activation: Activation) -> float:
    """Turn a raw score into the official one, in double precision whatever the model computed in."""
    if activation == "identity":
        return raw
    if raw >= 0:
        return 1.0 / (1.0 + math.exp(-raw))
    grown = math.exp(raw)  # never overflows, unlike exp(-raw) here
    return grown / (1.0 + grown)


class Scorer(ABC):
    """Scores passages against a query.

    Public methods check; families implement `submit`.

    Attributes:
        name: the model's name, as shown to users.
        activation: what turns a raw score into the model's official score.
    """

    name: str
    activation: Activation = "identity"

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
            is None). NaN where the model gave no finite number. Cancelling the future stops the work at the next
            batch. The future fails with `DeadlineExceeded` or another `ScorerError`.
        """

    def raw_scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """The model's raw scores (logits, cosines), in the order of the passages.

        Raises:
            ScorerError: if the model fails or gives a score that is not finite.
        """
        if isinstance(passages, str):
            raise ScorerError("passages must be a list of texts, not one text: pass [text]")
        if not passages:
            return []
        scores = [windows[0] for windows in self.submit(query, passages).result()]
        if len(scores) != len(passages):
            raise ScorerError(f"{self.name} gave {len(scores)} scores for {len(passages)} passages")
        odd = [index for index, score in enumerate(scores) if not math.isfinite(score)]
        if odd:
            raise ScorerError(f"{self.name} gave no finite score for the passages {odd[:10]}")
        return scores

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The model's official scores, in the order of the passages.

        Raises:
            ScorerError: as `raw_scores`.
        """
        return [activate(raw, self.activation) for raw in self.raw_scores(query, passages)]

    def close(self) -> None:  # noqa: B027 - most scorers hold nothing
        """Free what the scorer holds. Calling it twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
