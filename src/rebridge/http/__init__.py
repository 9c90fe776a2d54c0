"""Searches as they come and go over HTTP: the values, and what a connector must know to stand behind a proxy.

No I/O happens here. Headers keep their order and may repeat; their names are compared without regard to case. Header
values hold one character per byte (latin-1), as in `http.client`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from rebridge.bridge import Bridge
from rebridge.connector import Connector
from rebridge.errors import RebridgeError, ScorerError
from rebridge.models import Summary
from rebridge.overrides import Overrides
from rebridge.steps import Fetch, Scores
from rebridge.stories import Story

Headers = tuple[tuple[str, str], ...]

#: What a story of `HttpConnector.exchange` yields: a `Fetch` of an `HttpRequest`, to be answered by an `HttpReply`; a
#: `Fetch` of a future, to be answered by its result, which another story brings about; and `Scores`.
Step = Fetch | Scores
#: The lowest status of an error.
ERROR = 400
#: Most bytes in the body of a search that is looked into, unless somebody says otherwise.
MOST = 32 * 1024 * 1024
#: Of a request about a copy that the client has already. They would be answered about another reply than ours.
_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request.

    Attributes:
        method: in capitals.
        path: as it stands in the request, with its percent escapes; it begins with a slash.
        query: as it stands there, after the question mark. Bytes that are no UTF-8 are surrogate escapes.
        headers: the headers that count from end to end.
        body: as it came, maybe compressed.
        limit: most bytes that the body may come to without its compression.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    limit: int = MOST


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply.

    Attributes:
        status: HTTP status.
        headers: the headers that count from end to end.
        body: as it came, maybe compressed.
    """

    status: int
    headers: Headers
    body: bytes = b""


class Searched(NamedTuple):
    """One search, of which a request may hold several.

    Attributes:
        pipeline: the pipeline's name; None if there is none for it.
        summary: what was done.
    """

    pipeline: str | None
    summary: Summary


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request came to.

    Attributes:
        reply: what the client gets.
        searches: what was done, in the order of the request's searches.
        refused: overrides that the pipelines do not allow, by name.
    """

    reply: HttpReply
    searches: tuple[Searched, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """A request that is not reranked: whatever the engine answers is what the client gets, byte for byte.

    Attributes:
        request: what the engine gets.
        searches: as of an `Exchange`.
        refused: likewise.
    """

    request: HttpRequest
    searches: tuple[Searched, ...]
    refused: tuple[str, ...] = ()


class ErrorReply(Exception):
    """The engine answered with an error.

    Attributes:
        reply: the whole answer.
        status_code: its status.
    """

    def __init__(self, reply: HttpReply) -> None:
        super().__init__(f"the engine answered with status {reply.status}")
        self.reply, self.status_code = reply, reply.status


class NoAnswer(Exception):
    """The engine gave no answer, or not to this client: that tells nothing about it."""


class HttpConnector(Connector[Any, Any], Protocol):
    """A connector whose engine can be put behind a proxy."""

    def is_search(self, method: str, path: str) -> bool:
        """Whether such a request may be a search, before its body is read. All else is none of our business."""

    def exchange(self, request: HttpRequest, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
        """Answer a search.

        Args:
            request: a request for which `is_search` holds, with its whole body.
            bridge: the pipelines.
            overrides: what is to be done otherwise than the pipelines say.

        Returns:
            A story that yields what `Step` says.

        Raises:
            NoAnswer: if it is thrown in.
        """

    def failure(self, status: int, kind: str, reason: str) -> HttpReply:
        """An error in the engine's own words: a status, a word for what is wrong, and a sentence."""


def header(headers: Headers, name: str) -> str | None:
    """The value of the first header of a name; None if there is none."""
    return next((value for key, value in headers if key.lower() == name), None)


def without(headers: Headers, *names: str) -> Headers:
    """The headers but for those of these names, given in lower case."""
    return tuple((key, value) for key, value in headers if key.lower() not in names)


def unconditional(request: HttpRequest) -> HttpRequest:
    """The request without conditions, and with compression only where we can undo it."""
    headers = without(request.headers, *_CONDITIONS, "accept-encoding")
    gzip = (("accept-encoding", "gzip"),) if _takes_gzip(request.headers) else ()
    return replace(request, headers=(*headers, *gzip))


def _takes_gzip(headers: Headers) -> bool:
    """See https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding."""
    values = ",".join(value for key, value in headers if key.lower() == "accept-encoding")
    weights = {}
    for entry in values.lower().split(","):
        name, *options = (part.strip() for part in entry.split(";"))
        weights[name] = next((option.removeprefix("q=").strip() for option in options if option.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""


def media_type(headers: Headers) -> str:
    """The content type in lower case, without its parameters; empty if there is none."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


def in_utf8(headers: Headers) -> bool:
    """Whether the content type names no other character set."""
    options = (header(headers, "content-type") or "").lower().split(";")[1:]
    charsets = [option.partition("=")[2].strip(' "') for option in options if option.strip().startswith("charset")]
    return all(charset in {"utf-8", "utf8", "us-ascii"} for charset in charsets)


def told(error: RebridgeError) -> str:
    """What a stranger may read of an error. Messages of scorers name paths and addresses."""
    if isinstance(error, ScorerError):
        return f"the search could not be reranked ({error.reason}), and its pipeline wants that to be an error"
    return str(error)
