"""Everything that one index needs to be reranked, as values. `rebridge.config` makes one from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rebridge.connector import Connector
from rebridge.fusion import Fusion
from rebridge.models import Doubt
from rebridge.passages import PassageTemplate
from rebridge.query_path import QueryPath

OnError = Literal["degrade", "raise"]
Annotate = Literal["none", "summary", "full"]


@dataclass(frozen=True, slots=True)
class Fallback:
    """A scorer that is asked when those before it failed.

    Attributes:
        model: its name, for the summary.
        cuts: whether it cuts long passages into windows; if not, it is given them whole.
    """

    model: str
    cuts: bool = True


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How the story goes for one index.

    Attributes:
        index: its name, for log records.
        connector: the translator for the engine.
        passage: document -> passage.
        fusion: how both scores are combined.
        rank_window: how many candidates are rescored, at least 1.
        model: the scorer's name, for the summary.
        fallbacks: the scorers to ask in order when it fails and there is time left.
        on_error: ``degrade`` answers in first-stage order and says so; ``raise`` raises.
        deadline_s: seconds that one search may take until the scorer is given up; None for no limit.
        min_rerank_score: hits with a lower raw score are removed; None keeps all. With it, hits behind the rank
            window are not shown, since nobody scored them. It is a threshold of ``model``: where a fallback answers,
            nothing is removed.
        query_path: where a request holds the words for the scorer; None to look for them in the query.
        rerank_also: doubtful kinds of requests that are reranked all the same.
        annotate: whether the reply carries what was done: not at all, a summary, or a note on each hit too. A degraded
            reply carries a summary in any case.
    """

    index: str
    connector: Connector[Any, Any]
    passage: PassageTemplate = field(default_factory=PassageTemplate)
    fusion: Fusion = field(default_factory=Fusion)
    rank_window: int = 100
    model: str | None = None
    fallbacks: tuple[Fallback, ...] = ()
    on_error: OnError = "degrade"
    deadline_s: float | None = None
    min_rerank_score: float | None = None
    query_path: QueryPath | None = None
    rerank_also: frozenset[Doubt] = frozenset()
    annotate: Annotate = "summary"
