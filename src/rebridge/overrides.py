"""What one request may ask to be done otherwise, as far as its pipeline allows it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from rebridge.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a request asks for.

    Attributes:
        rank_window: how many candidates to rescore; None for the pipeline's own.
        skip: do not rerank at all.
        model: name of one of the models that the pipeline lists; None for the pipeline's own.
        deadline_s: seconds that the search may take until the scorer is given up; None for the pipeline's own.
        odd: names of overrides whose values nobody can read; they are refused.
    """

    rank_window: int | None = None
    skip: bool = False
    model: str | None = None
    deadline_s: float | None = None
    odd: tuple[str, ...] = ()


#: Of a request that asks for nothing.
NONE = Overrides()


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a pipeline allows.

    Attributes:
        rank_window: a smaller rank window.
        skip: not to rerank.
        deadline: a shorter deadline.
        models: names of other models.
    """

    rank_window: bool = False
    skip: bool = False
    deadline: bool = True
    models: Container[str] = ()


def permitted(asked: Overrides, allowed: Allowed, pipeline: Pipeline) -> tuple[Overrides, tuple[str, ...]]:
    """What of the overrides is in force, and the names of those that are refused.

    A rank window and a deadline can only be lowered; asking for what is in force anyway changes nothing.
    """
    window, model, deadline = asked.rank_window, asked.model, asked.deadline_s
    limit = float("inf") if pipeline.deadline_s is None else pipeline.deadline_s
    problems = {
        "rank_window": window is not None
        and not (window == pipeline.rank_window or (allowed.rank_window and 1 <= window < pipeline.rank_window)),
        "skip": asked.skip and not allowed.skip,
        "model": model is not None and model != pipeline.model and model not in allowed.models,
        "deadline": deadline is not None and not (deadline == limit or (allowed.deadline and 0 < deadline < limit)),
    }
    refused = tuple(name for name, problem in problems.items() if problem or name in asked.odd)
    return Overrides(
        None if problems["rank_window"] else window,
        asked.skip and not problems["skip"],
        None if problems["model"] or model == pipeline.model else model,
        None if problems["deadline"] else deadline,
    ), refused


def overridden(pipeline: Pipeline, overrides: Overrides) -> Pipeline:
    """The pipeline with permitted overrides in it, but for the model."""
    return replace(
        pipeline,
        rank_window=overrides.rank_window or pipeline.rank_window,
        deadline_s=overrides.deadline_s or pipeline.deadline_s,
    )
