"""Why a document stands where it does, as values and in sentences. `rebridge.explaining` finds the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rebridge.scorers.reading import Reading

#: ``shown``: it has a place in the answer; ``removed``: its model score is below ``min_rerank_score``;
#: ``outside_window``: the first stage has it, but behind the rank window; ``filtered``: only the filters keep it out;
#: ``not_matched``: it is in the index, but not among the query's hits; ``too_deep``: nor among as many hits as were
#: looked at, and there are more; ``absent``: the index does not hold it.
Verdict = Literal["shown", "removed", "outside_window", "filtered", "not_matched", "too_deep", "absent"]

_UNREAD_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The hit just above.

    Attributes:
        doc_id: its id.
        first_stage: its share of the fused score from the first stage.
        rerank: its share from the model.
    """

    doc_id: str
    first_stage: float
    rerank: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the model makes of a document.

    Attributes:
        passage: what it was given to read; empty if the document has no text in the passage's fields.
        flags: what was special about it.
        reading: how much of it the model reads; None if the scorer cannot tell.
        windows: the raw score of every passage window.
        raw: the raw score, pooled over windows; None if there is none.
        official: the raw score after the model's own activation.
        activation: that activation.
        better: how many hits in the rank window have a higher raw score; None if none of them has one.
        failure: why the model could not score it, where it was asked apart; empty if it could.
    """

    passage: str
    flags: tuple[str, ...] = ()
    reading: Reading | None = None
    windows: tuple[float, ...] = ()
    raw: float | None = None
    official: float | None = None
    activation: str = "identity"
    better: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a document stands in the answer to a query, and why.

    Attributes:
        index: name of the index.
        query: what was asked.
        doc_id: the document.
        verdict: where it is.
        status: what happened to the search, as in `rebridge.models.Summary`.
        reason: why it was not reranked, in a word.
        rank_window: how many hits the model scores at most.
        in_window: how many there were.
        looked_at: how many hits of the first stage were looked at to find it.
        rank: final rank over all pages; None if it is not in the answer.
        score: final score.
        first_stage_rank: the first stage's rank; without the filters, if only these keep it out.
        first_stage_score: the first stage's score.
        first_stage_share: what the first stage adds to the fused score; None if scores were not fused.
        rerank_share: what the model adds to it.
        fusion: how both were combined.
        judgement: what the model makes of it; asked apart where it is not in the window. None if it was not asked.
        min_rerank_score: lowest raw score of a hit that is shown; None for no limit.
        above: the hit just above, where scores were fused.
        removed_by: filters that keep it out, with what the document has in these fields.
        query_fields: where words are looked for.
        shared_words: the query's words that stand in the document as they are written, with the fields.
    """

    index: str
    query: str
    doc_id: str
    verdict: Verdict
    status: str
    reason: str | None
    rank_window: int
    in_window: int
    looked_at: int
    rank: int | None = None
    score: float | None = None
    first_stage_rank: int | None = None
    first_stage_score: float | None = None
    first_stage_share: float | None = None
    rerank_share: float | None = None
    fusion: str | None = None
    judgement: Judgement | None = None
    min_rerank_score: float | None = None
    above: Neighbour | None = None
    removed_by: Mapping[str, str] = field(default_factory=dict)
    query_fields: tuple[str, ...] = ()
    shared_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """The reasons, the most important one first."""
        told = [_PLACES[self.verdict](self)]
        if self.status != "applied":
            told.append(f"The search was {self.status} ({self.reason}): hits are in the first stage's order.")
        if self.judgement is not None:
            told += _judged(self, self.judgement)
        if self.first_stage_share is not None and self.rerank_share is not None:
            told += _fused(self, self.first_stage_share, self.rerank_share)
        return told


def _shown(found: Explanation) -> str:
    if found.rank == found.first_stage_rank:
        return f"It stands at rank {found.rank}, as in the first stage."
    moved = (found.first_stage_rank or 0) - (found.rank or 0)
    way = "raised" if moved > 0 else "lowered"
    places = "1 place" if abs(moved) == 1 else f"{abs(moved)} places"
    return f"It stands at rank {found.rank}: reranking {way} it by {places} from {found.first_stage_rank}."


def _removed(found: Explanation) -> str:
    return (
        f"It is removed: its model score is below min_rerank_score, which is {found.min_rerank_score:g}. The first "
        f"stage has it at rank {found.first_stage_rank}."
    )


def _outside(found: Explanation) -> str:
    shown = "so it stays there" if found.rank is not None else "and min_rerank_score removes what was not scored"
    return (
        f"The first stage has it at rank {found.first_stage_rank}, behind the rank window of {found.rank_window}: the "
        f"model does not see it, {shown}. With a rank_window of {found.first_stage_rank} or more it would be scored."
    )


def _filtered(found: Explanation) -> str:
    has = "; ".join(f"{name} is {value or 'empty'} in the document" for name, value in found.removed_by.items())
    why = f"The filters keep it out: {has}." if has else "The filters keep it out, but none of them does so alone."
    return (
        f"{why} Without them the first stage has it at rank {found.first_stage_rank}, the "
        f"rank window being {found.rank_window}."
    )


def _not_matched(found: Explanation) -> str:
    hits = f"it is none of all {found.looked_at:,} hits" if found.looked_at else "there are no hits at all"
    return f"The query does not find it: {hits}. {_words(found)}"


def _too_deep(found: Explanation) -> str:
    return (
        f"It is not among the first {found.looked_at:,} hits of the first stage; whether it is further down was not "
        f"looked at. {_words(found)}"
    )


def _absent(found: Explanation) -> str:
    return f"The index {found.index!r} holds no document with the id {found.doc_id!r}."


_PLACES = {
    "shown": _shown,
    "removed": _removed,
    "outside_window": _outside,
    "filtered": _filtered,
    "not_matched": _not_matched,
    "too_deep": _too_deep,
    "absent": _absent,
}


def _words(found: Explanation) -> str:
    searched = f"Searched are {', '.join(found.query_fields)}, by words as the engine analyses them."
    if not found.shared_words:
        return f"None of the query's words stands in the document as it is written. {searched}"
    has = "; ".join(f"{word} in {', '.join(fields)}" for word, fields in found.shared_words.items())
    return f"Of the query's words the document has {has}. {searched}"


def _judged(found: Explanation, judgement: Judgement) -> Iterator[str]:
    if not judgement.passage:
        yield "It has no text in the passage's fields, so the model has nothing to read."
    if judgement.reading is not None:
        yield from _read(judgement.reading)
    if judgement.failure:
        yield f"The model failed to score it: {judgement.failure}"
    if judgement.raw is None:
        if not judgement.failure and judgement.passage and found.status == "applied":
            yield "The model gave it no finite score."
        return
    asked = "gives it" if found.first_stage_share is not None else "would give it"
    official = "" if judgement.activation == "identity" else f" ({judgement.official:.4f} after {judgement.activation})"
    more = "" if judgement.better is None else f"; {judgement.better or 'none'} of the window's {found.in_window} hits"
    yield f"The model {asked} {judgement.raw:.4f}{official}{more and f'{more} have more'}."
    if len(judgement.windows) > 1:
        yield f"Its passage windows have {', '.join(f'{score:.4f}' for score in judgement.windows)}."


def _read(reading: Reading) -> Iterator[str]:
    windows = "" if len(reading.windows) == 1 else f" in {len(reading.windows)} windows"
    yield f"Its passage has {reading.tokens:,} tokens{windows}."
    short = [number for number, tokens in enumerate(reading.windows, start=1) if reading.read[number - 1] < tokens]
    if short and windows:
        lost = ", ".join(map(str, short))
        yield f"The model does not read the end of its windows {lost}: lower passage.windows.size."
    if reading.unread:
        text = " ".join(reading.unread_text[:_UNREAD_SHOWN].split())
        yield f'The model does not read the last {reading.unread:,} of them, from "{text}" on.'


def _fused(found: Explanation, first: float, rerank: float) -> Iterator[str]:
    final = "" if found.score is None else f", shown as {found.score:.4f}, which keeps the rank window above the rest"
    yield f"Fused ({found.fusion}): {first:.4f} (first stage) + {rerank:.4f} (model) = {first + rerank:.4f}{final}."
    if found.above is not None:
        ahead = (found.above.first_stage - first, found.above.rerank - rerank)
        yield (
            f"The hit above, {found.above.doc_id}, is {sum(ahead):.4f} ahead: {ahead[0]:+.4f} by the first stage, "
            f"{ahead[1]:+.4f} by the model."
        )
