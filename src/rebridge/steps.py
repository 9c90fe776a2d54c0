"""What the story asks of the world: the effects that `rebridge.flow` yields and a driver carries out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

Pool = Literal["max", "top_k_mean"]


@dataclass(frozen=True, slots=True)
class Windows:
    """How long passages are cut into windows of tokens, and the windows' scores pooled into one.

    Attributes:
        size: tokens in a window.
        stride: tokens from the start of one window to the start of the next.
        limit: most windows of one document; what lies behind them is not read.
        pool: the score of a document: the highest of its windows, or the mean of the ``top_k`` highest.
        top_k: see ``pool``.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    size: Annotated[int, Field(ge=8)] = 256
    stride: Annotated[int, Field(ge=1)] = 128
    limit: Annotated[int, Field(ge=1)] = 8
    pool: Pool = "max"
    top_k: Annotated[int, Field(ge=1)] = 3

    def __post_init__(self) -> None:
        """Refuse windows that leave gaps."""
        if self.stride > self.size:
            raise ValueError(f"stride {self.stride} is above size {self.size}: tokens between windows would be lost")

    def pooled(self, scores: Sequence[float]) -> float:
        """One score for the windows of a document; NaN if one of them is."""
        if any(math.isnan(score) for score in scores):
            return math.nan
        best = sorted(scores, reverse=True)[: 1 if self.pool == "max" else self.top_k]
        return math.fsum(best) / len(best)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Send this native request to the engine. The answer is the native reply."""

    request: Any


@dataclass(frozen=True, slots=True)
class Announce:
    """Passages for this query are likely to come; the scorer may begin with the query. Nothing is answered.

    Attributes:
        query: the query text.
        deadline: as of the `Score` that is to come.
        scorers: the pipeline's, as drivers take them; None for those that the driver was given.
    """

    query: str
    deadline: float | None = None
    scorers: Any = None


@dataclass(frozen=True, slots=True)
class Score:
    """Score these passages against the query.

    The answer is a sequence with one entry per passage, in order: the raw scores of its windows (one score if
    ``windows`` is None). NaN stands for a passage that the model could not score.

    Attributes:
        query: the query text.
        passages: non-empty texts.
        windows: how to cut long passages; None to let the model truncate them.
        deadline: `time.monotonic` value after which nobody waits for the answer; None for no limit.
        attempt: which scorer to ask: 0 for the pipeline's own, then its fallbacks.
    """

    query: str
    passages: tuple[str, ...]
    windows: Windows | None = None
    deadline: float | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """Score for several searches at once. The answer is a list with one entry per search: its scores, or what failed.

    Attributes:
        asks: what each search asks for, and the scorers of its pipeline as drivers take them: that of the ask's
            ``attempt`` is to answer.
    """

    asks: tuple[tuple[Score, Any], ...]
