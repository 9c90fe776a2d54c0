"""What can be wrong with a request, and how each dialect says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel

from rebridge.errors import ScorerError

#: ``no_json``: the body is none. ``invalid``: it has wrong keys or values. ``too_many``: more documents, or a longer
#: query, than is allowed. ``too_large``: the same of the body. ``empty``: no documents, where that is an error. The
#: others are the reasons of a `ScorerError`.
Kind = Literal[
    "no_json", "invalid", "too_many", "too_large", "empty", "unknown_model", "busy", "deadline", "scorer_failed"
]


class Problem(Exception):
    """Why a request is not answered with scores.

    Args:
        kind: what is wrong.
        message: what is wrong in words, with the cure.
        retry_after: after how many seconds to ask again; None where that does not help.
    """

    def __init__(self, kind: Kind, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.retry_after = kind, message, retry_after


_STATUSES: Mapping[Kind, int] = {
    "no_json": 400,
    "empty": 400,
    "unknown_model": 404,
    "too_large": 413,
    "invalid": 422,
    "too_many": 422,
    "busy": 429,
    "scorer_failed": 503,
    "deadline": 504,
}

_BY_REASON: Mapping[str, Kind] = {"unknown_model": "unknown_model", "busy": "busy", "deadline": "deadline"}


def problem_of(error: ScorerError) -> Problem:
    """What a scorer's failure is to a client."""
    kind = _BY_REASON.get(error.reason, "scorer_failed")
    return Problem(kind, str(error), getattr(error, "retry_after", None))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an API tells of problems.

    Attributes:
        body: the JSON value of an error, from the problem and its status.
        schema: of that value.
        changed: statuses that differ from those of the others.
    """

    body: Callable[[Problem, int], Any]
    schema: type[BaseModel]
    changed: Mapping[Kind, int] = field(default_factory=dict)

    def status(self, kind: Kind) -> int:
        """The HTTP status of a problem."""
        return self.changed.get(kind, _STATUSES[kind])


def responses(*dialects: Dialect) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route that speaks these dialects, for OpenAPI."""
    words: dict[int, dict[str, None]] = {}
    schemas: dict[int, Any] = {}
    for dialect in dialects:
        for kind in _STATUSES:
            status = dialect.status(kind)
            words.setdefault(status, {})[_WORDS[kind]] = None
            schemas[status] = schemas.get(status, dialect.schema) | dialect.schema
    told: dict[int | str, dict[str, Any]] = {
        status: {"description": f"{HTTPStatus(status).phrase}: {'; '.join(words[status])}.", "model": schemas[status]}
        for status in sorted(words)
    }
    if 422 not in told:  # noqa: PLR2004 - FastAPI would add a form of its own that is never sent
        told["4XX"] = {"description": "Other mistakes.", "model": dialects[0].schema}
    return told


_WORDS: Mapping[Kind, str] = {
    "no_json": "the body is no JSON",
    "empty": "no documents",
    "unknown_model": "no model has this name",
    "too_large": "the body is too large",
    "invalid": "wrong keys or values",
    "too_many": "too many documents, or too long a query",
    "busy": "too many requests wait; see Retry-After",
    "scorer_failed": "the model failed or is not there",
    "deadline": "the deadline passed",
}


class CohereError(BaseModel):
    """An error as Cohere's API gives it; ``detail`` is the same for clients of Jina's."""

    message: str
    detail: str


class TeiError(BaseModel):
    """An error as Text Embeddings Inference gives it."""

    error: str
    error_type: str


class OpenAiErrorInfo(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None = None
    code: int


class OpenAiError(BaseModel):
    """An error as vLLM and Infinity give it."""

    error: OpenAiErrorInfo


class NativeErrorInfo(BaseModel):
    """What is wrong."""

    reason: str
    message: str


class NativeError(BaseModel):
    """An error of our own dialect."""

    error: NativeErrorInfo


_TEI_TYPES: Mapping[Kind, str] = {
    "empty": "empty",
    "busy": "overloaded",
    "scorer_failed": "backend",
    "deadline": "backend",
}


def _tei(problem: Problem, _: int) -> dict[str, str]:
    return {"error": problem.message, "error_type": _TEI_TYPES.get(problem.kind, "validation")}


def _openai(problem: Problem, status: int) -> dict[str, Any]:
    kind = "".join(word for word in HTTPStatus(status).phrase.split() if word != "Error") + "Error"
    return {"error": {"message": problem.message, "type": kind, "param": None, "code": status}}


def _native(problem: Problem, _: int) -> dict[str, Any]:
    reason = "bad_request" if problem.kind in {"no_json", "invalid", "too_many", "empty"} else problem.kind
    return {"error": {"reason": reason, "message": problem.message}}


#: https://docs.cohere.com/reference/rerank#response.errors, https://api.jina.ai/redoc
COHERE = Dialect(lambda problem, _: {"message": problem.message, "detail": problem.message}, CohereError)
#: https://huggingface.github.io/text-embeddings-inference
TEI = Dialect(_tei, TeiError, {"too_many": 413, "scorer_failed": 424})
#: vllm/entrypoints/openai/engine/protocol.py (ErrorResponse); it answers wrong keys with 400 as well
VLLM = Dialect(_openai, OpenAiError, {"invalid": 400, "too_many": 400})
#: HuggingFaceErrorResponseEntity.java of Elasticsearch reads ``error``
HUGGING_FACE = Dialect(_tei, TeiError)
NATIVE = Dialect(_native, NativeError, {"too_many": 413})
