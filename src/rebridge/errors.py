"""Every error that rebridge raises, each with its evidence and the cure."""

from __future__ import annotations


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
        super().__init__(f"{what} needs an optional dependency. Install it with: pip install 'rebridge[{extra}]'")
        self.extra = extra


class ConnectorError(RebridgeError):
    """The engine, or the request for it, cannot be used."""


class BadReply(ConnectorError):
    """The engine answered something that is not a search reply.

    Args:
        problem: what is wrong, e.g. ``"no hits.hits"``.
        engine: the connector's name.
        body: the reply, or the beginning of it.
    """

    def __init__(self, problem: str, *, engine: str, body: object) -> None:
        text = repr(body)
        excerpt = text if len(text) <= 200 else text[:200] + "..."  # noqa: PLR2004 - an excerpt for one line
        super().__init__(f"{engine} answered something that is not a search reply: {problem}. Reply: {excerpt}")
        self.body = body


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


class NoPassages(ScorerError):
    """No candidate has text in any of the passage fields."""

    reason = "no_passages"
