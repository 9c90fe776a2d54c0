"""Every error that rebridge raises, each with its evidence and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

#: How much of a bad reply an error shows, in characters.
_EXCERPT = 200
#: How many valid names an error lists.
_MOST_NAMES = 40


def unknown(what: str, given: str, valid: Iterable[str]) -> str:
    """The message about a name that does not exist: the nearest one, and all that do."""
    return f"unknown {what} {given!r}. {nearest(given, valid)}"


def nearest(given: str, valid: Iterable[str]) -> str:
    """The valid name that is nearest to the given one, and all that there are, as far as they fit on a line."""
    known = sorted(valid)
    near = get_close_matches(given, known, n=1)
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return (f"Did you mean {near[0]!r}? " if near else "") + f"Valid: {', '.join(known[:_MOST_NAMES]) or 'none'}{more}."


class RebridgeError(Exception):
    """Base of all errors raised by rebridge."""


class ConfigError(RebridgeError):
    """A configuration that cannot be used: the message names file, line, key and cure."""


class MissingExtra(RebridgeError):
    """An optional dependency is not installed.

    Args:
        what: what needs it, e.g. ``"The tantivy connector"``.
        extra: the extra of rebridge that brings it, e.g. ``"embedded"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what, self.extra = what, extra

    def __str__(self) -> str:
        return f"{self.what} needs an optional dependency. Install it with: pip install 'rebridge[{self.extra}]'"


class ConnectorError(RebridgeError):
    """The engine, or the request for it, cannot be used."""


class DocumentsRefused(ConnectorError):
    """The engine took the other documents of a batch, but not these.

    Args:
        problems: id -> what the engine says is wrong with the document; at least one.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        doc_id, problem = next(iter(self.problems.items()))
        more = f" So are {len(self.problems) - 1:,} others." if len(self.problems) > 1 else ""
        return f"Document {doc_id!r} is refused: {problem}.{more}"


class BadReply(ConnectorError):
    """The engine answered something that is not a search reply.

    Args:
        problem: what is wrong, e.g. ``"no hits.hits"``.
        engine: the connector's name.
        body: the whole reply, which a wrapped client hands on to its caller.
        status: the HTTP status, where there is one.
    """

    def __init__(self, problem: str, engine: str, body: object, status: int | None = None) -> None:
        super().__init__(problem, engine, body, status)
        self.problem, self.engine, self.body, self.status = problem, engine, body, status

    def __str__(self) -> str:
        text = repr(self.body)
        excerpt = text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."
        status = f" with status {self.status}" if self.status is not None else ""
        return f"{self.engine} answered{status}, but not with a search reply: {self.problem}. Reply: {excerpt}"


class ScorerError(RebridgeError):
    """The scorer could not give scores.

    Attributes:
        reason: the word for it in a degraded reply and in metrics.
    """

    reason = "scorer_failed"


class ModelNotFound(ScorerError):
    """A model is missing or unreachable: the message lists what was tried and the cures."""


class UnsupportedModel(ScorerError):
    """The model is there but cannot be loaded safely or correctly."""


class DeadlineExceeded(ScorerError):
    """The deadline passed before all passages were scored."""

    reason = "deadline"


class NoScores(ScorerError):
    """The scorer gave no finite score for any passage."""


class NoPassages(ScorerError):
    """No candidate has text in any of the passage fields."""

    reason = "no_passages"


class UnknownModel(ScorerError):
    """No model is served under a name.

    Args:
        name: what was asked for; None where a request names no model and there is no default.
        valid: the names that there are.
    """

    reason = "unknown_model"

    def __init__(self, name: str | None, valid: Iterable[str]) -> None:
        known = tuple(valid)
        super().__init__(name, known)
        self.name, self.valid = name, known

    def __str__(self) -> str:
        if self.name is None:
            return f"The request names no model, and there is no default one. {nearest('', self.valid)}"
        return unknown("model", self.name, self.valid)


class Busy(ScorerError):
    """So much work waits already that more is refused: ask again later.

    Args:
        message: who is busy.
        retry_after: after how many seconds to ask again.
    """

    reason = "busy"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
