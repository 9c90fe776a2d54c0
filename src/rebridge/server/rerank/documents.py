"""What a request calls documents, as passages; and scores, as a ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool

from rebridge.passages import texts_in


def _number(value: Any) -> Any:
    """Numbers only: pydantic would take a text of digits and a truth value, too, which the schema does not say."""
    if isinstance(value, bool | str | bytes):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's way to refuse a value
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Count = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Positive = Annotated[int, Field(ge=1), BeforeValidator(_number)]
Flag = StrictBool

#: Significant digits of scores in replies. With sign, point, zeros or exponent that makes 18 characters at most.
_DIGITS = 11

Documents = Annotated[
    list[Any],
    Field(
        description="Texts, or objects with a `text`. Of other objects and lists all texts are read; what has no text "
        "is scored as an empty one. No document makes the others fail."
    ),
]


def passage_of(document: Any, rank_fields: Sequence[str] | None = None) -> str:
    """The text of a document, whatever it is.

    Args:
        document: a text, an object with ``text``, or any other JSON value.
        rank_fields: keys of an object to read instead, in order (Cohere's API v1).
    """
    if isinstance(document, str):
        return document
    if isinstance(document, Mapping):
        if rank_fields:
            document = [document.get(name) for name in rank_fields]
        elif isinstance(document.get("text"), str):
            return str(document["text"])
        elif "content" in document:  # the parts of a message, as vLLM takes them
            document = [
                part.get("text") if isinstance(part, Mapping) else part for part in _listed(document["content"])
            ]
    try:
        return "\n".join(texts_in(document))
    except RecursionError:  # nobody reads text that is nested so deep
        return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def shown(document: Any) -> Any:
    """A document as replies with ``return_documents`` hold it: objects as they came, texts as objects."""
    return document if isinstance(document, Mapping) else {"text": passage_of(document)}


def finite(scores: Sequence[float], floor: float | None) -> list[float]:
    """The scores, to 11 significant digits; those that are no finite numbers become the lowest.

    More digits mean nothing in float32, and OpenSearch's connectors fail on a number of more than 18 characters (their
    JSON reader makes a BigDecimal of it, which CohereRerankPostProcessFunction.java casts to Double).

    Args:
        scores: one per document; NaN where the model found nothing to read, for example.
        floor: the lowest score that there can be; None if there is none, for the lowest of those that are there.
    """
    if floor is None:
        floor = min(filter(math.isfinite, scores), default=0.0)
    return [float(f"{score if math.isfinite(score) else floor:.{_DIGITS}g}") for score in scores]


def ranking(scores: Sequence[float], raw: Sequence[float], top_n: int | None) -> list[int]:
    """The indices of the documents, best first.

    Equal scores are ordered by the raw ones (those close to 1 may have become equal), then by index; documents without
    a finite score come last.

    Args:
        scores: as shown.
        raw: as the model gave them.
        top_n: how many to give; None, 0 or less for all.
    """
    keys = [
        (not math.isfinite(unbounded), -score, -unbounded if math.isfinite(unbounded) else 0.0, index)
        for index, (score, unbounded) in enumerate(zip(scores, raw, strict=True))
    ]
    order = [key[-1] for key in sorted(keys)]
    return order[:top_n] if top_n is not None and top_n > 0 else order
