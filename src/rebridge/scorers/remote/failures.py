"""What went wrong with a peer, in words that neither tell secrets nor quote documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from rebridge.errors import Busy, DeadlineExceeded, ScorerError, UnknownModel
from rebridge.remote import Place, one_line

if TYPE_CHECKING:
    import aiohttp

#: Characters of a text of the request that a peer's message must not hold, and the least that can be told apart.
_QUOTED, _TELLING = 40, 8
_CLIENT_ERROR, _SERVER_ERROR = range(400, 500), range(500, 600)
#: Answers after which the same request may succeed a little later.
_PASSING = {429, 502, 503}
#: A rebridge's own word, or the status -> the word for failures that are worth telling apart in metrics.
_REASONS: Mapping[Any, str] = {UnknownModel.reason: UnknownModel.reason, 429: Busy.reason}
#: What a peer's words hold when a request has too many passages.
_TOO_MANY = re.compile(r"batch.?size|too many|too large|more than|at most|maximum|max_", re.IGNORECASE)

_BY_STATUS: Mapping[int, str] = {
    401: "{url} does not accept the scorer's `api_key` (401), or wants one. It can also come from the environment: "
    "REBRIDGE_PIPELINE__NAME__SCORER__API_KEY. {said}",
    403: "{url} does not let this `api_key` use the model (403). {said}",
    404: "{url} has no such address or model (404): correct `url`, `dialect` or `model` of the scorer. {said}",
    405: "{url} takes no requests like this (405): correct `url` or `dialect` of the scorer. {said}",
    413: "{url} takes no request of this size (413), even for a single passage. {said}",
    429: "{url} is too busy (429). {said}",
    502: "A proxy at {url} cannot reach the scorer (502).",
    503: "{url} cannot answer now (503). {said}",
    504: "A proxy at {url} got no answer from the scorer in time (504).",
}


#: What a failure shows of the peer: that it answers, but not this; that it fails; nothing.
Health = Literal["well", "ill", "unknown"]


class RemoteError(ScorerError):
    """A peer gave no scores.

    Args:
        message: cause and cure.
        health: what the failure shows of the peer.
        passing: whether the same request may succeed a little later.
        wait_s: how long the peer asks to wait, seconds; None if it does not say.
        too_many: whether a request with fewer passages may succeed.
        status: the HTTP status; None if there was no answer.
        reason: as of any `ScorerError`.
    """

    def __init__(  # noqa: PLR0913 - what there is to say about a failure
        self,
        message: str,
        health: Health = "ill",
        *,
        passing: bool = False,
        wait_s: float | None = None,
        too_many: bool = False,
        status: int | None = None,
        reason: str = ScorerError.reason,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.health, self.passing, self.wait_s = health, passing, wait_s
        self.too_many, self.status = too_many, status


def no_answer(place: Place, error: Exception) -> RemoteError:
    """The failure of a connection, which another attempt may not meet."""
    # What the operating system said stands furthest down.
    chain: list[BaseException] = [error]
    while below := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(below)
    text = next((f"{type(one).__name__}: {one}" for one in reversed(chain) if str(one)), type(error).__name__)
    return RemoteError(str(place.failure(None, text, one_line(text), told=False)), passing=True)


def refused(
    place: Place, response: aiohttp.ClientResponse, body: bytes, secret: str | None, texts: Sequence[str]
) -> Exception:
    """The failure that an HTTP status other than 200 means.

    Args:
        place: the peer.
        response: status and headers.
        body: what came.
        secret: the key that was sent.
        texts: what was asked, which the peer's words may quote.
    """
    status, error = response.status, _parsed(body)
    if status == 504 and _reason(error) == "deadline":  # noqa: PLR2004 - our own dialect's word
        return DeadlineExceeded(f"{place.url} had no scores before the deadline")
    words = _words(error)
    said = (
        _quoted(words, secret, texts)
        or f"It sent {response.headers.get('content-type', 'no type')}, {len(body)} bytes."
    )
    message = place.says(_BY_STATUS.get(status, f"{{url}} refuses this with status {status}. {{said}}"), said).strip()
    wait_s = retry_after(response.headers.get("retry-after"))
    if status in _PASSING and wait_s is not None:
        message = f"{message} It asks to wait {wait_s:.0f} s."
    return RemoteError(
        message,
        "well" if status in _CLIENT_ERROR else "ill",
        passing=status in _PASSING,
        wait_s=wait_s,
        too_many=status == 413 or (status in {400, 422} and bool(_TOO_MANY.search(words))),  # noqa: PLR2004
        status=status,
        reason=_REASONS.get(_reason(error), _REASONS.get(status, ScorerError.reason)),
    )


def retry_after(value: str | None) -> float | None:
    """Seconds that ``Retry-After`` asks to wait; None if it says nothing that can be understood.

    Format: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _reason(error: Any) -> str | None:
    inner = error.get("error") if isinstance(error, dict) else None
    reason = inner.get("reason") if isinstance(inner, dict) else None
    return reason if isinstance(reason, str) else None


def _words(error: Any) -> str:
    """The message in an error, of those shapes that known servers give it; other parts may echo the request."""
    if isinstance(error, str):
        return error
    if isinstance(error, list):
        return "; ".join(filter(None, map(_words, error)))
    if isinstance(error, dict):
        found = (error[key] for key in ("message", "msg", "detail", "error") if key in error)
        return next(filter(None, map(_words, found)), "")
    return ""


def _quoted(words: str, secret: str | None, texts: Sequence[str]) -> str:
    """A peer's words as they may be shown."""
    if (secret and secret in words) or any(text[:_QUOTED] in words for text in texts if len(text) >= _TELLING):
        return "Its message quotes the request, and so is not shown."
    return f"It said: {one_line(words)}" if words else ""
