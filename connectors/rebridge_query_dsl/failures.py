"""What a client's exceptions mean for the user: one message with the cause and the cure.

Both clients are told apart by nothing but their exceptions' attributes, so no client is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rebridge.errors import ConnectorError

_LONGEST = 300  # characters of an engine's own words


class EngineError(ConnectorError):
    """The engine refused a request or gave no answer. The client's exception is its cause.

    Args:
        message: cause and cure.
        status_code: the HTTP status; None if there was no answer.
        kind: the engine's word for the error, such as ``index_not_found_exception``; empty if it gave none.
    """

    def __init__(self, message: str, status_code: int | None = None, kind: str = "") -> None:
        super().__init__(message, status_code, kind)
        self.message, self.status_code, self.kind = message, status_code, kind

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Place:
    """What error messages call the index and its engine.

    Attributes:
        product: ``Elasticsearch`` or ``OpenSearch``.
        other: the engine that it is taken for.
        url: its addresses.
        index: the index.
        user: who asks; None if nobody said.
        errors: every exception that the client raises.
    """

    product: str
    other: str
    url: str
    index: str
    user: str | None
    errors: tuple[type[Exception], ...]


# What an engine or something before it answers -> what to do. {said} is its own words.
_BY_STATUS = {
    401: "{url} does not let {user} in (401): correct `user` and `password` (or `api_key`) of the connector. They can "
    "also come from the environment: REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD.",
    403: "{user} may not do this at {url} (403): give the role the right to it on index {index!r}. {product}: {said}",
    408: "{product} at {url} gave up (408): try again, or raise `timeout_s`. It said: {said}",
    413: "{url} takes no request of this size (413): raise http.max_content_length there, or a proxy's own limit.",
    429: "{product} at {url} is too busy (429): try again later. It said: {said}",
    502: "A proxy at {url} cannot reach {product} (502): start the engine, or correct `hosts`.",
    503: "{product} at {url} cannot answer (503): index {index!r} or its cluster is not available (red). See "
    "{url}/_cluster/health and /_cluster/allocation/explain. It said: {said}",
    504: "A proxy at {url} got no answer from {product} in time (504): try again.",
}
# What a connection that failed says -> what to do, the first that fits.
_BY_TEXT = {
    r"hostname mismatch|address mismatch|doesn't match": "The certificate of {url} is for another host: use the name "
    "that stands in it. ({said})",
    r"fingerprint": "The certificate of {url} is not the one of `ca_fingerprint`: correct it. ({said})",
    r"CERTIFICATE_VERIFY_FAILED": "The certificate of {url} is not trusted: set `ca_certs` to the file of the "
    "authority that signed it (for a cluster of your own usually its http_ca.crt). ({said})",
    r"WRONG_VERSION_NUMBER|RECORD_LAYER|EOF occurred in violation": "{url} does not speak TLS: write http:// in "
    "`hosts`. ({said})",
    r"RemoteDisconnected|BadStatusLine|Connection aborted|reset by peer": "{url} ended the connection: if it speaks "
    "TLS, write https:// in `hosts`. ({said})",
    r"timed out|timeout": "{url} gives no answer in time: start {product}, correct `hosts`, or raise `timeout_s`. "
    "({said})",
    r"refused": "Nothing listens at {url}: start {product}, or correct `hosts`. ({said})",
    r"resolve|getaddrinfo|Name or service": "The host of {url} is not known: correct `hosts`. ({said})",
}
_NOT_READ = "{url} does not answer as {product} does: correct `hosts`. It said: {said}"
_OTHER_PRODUCT = (
    "{url} is not {product}: for {other} write `name: {connector}` in the connector section. If it is {product} behind "
    "a proxy, let the proxy pass its headers on; otherwise correct `hosts`."
)
_OTHER_VERSION = (
    "{url} is an older {product} than the installed client speaks to: install a client of its major version, e.g. "
    "pip install 'elasticsearch<9'. ({said})"
)


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Raise an `EngineError` for whatever the client raises."""
    try:
        yield
    except place.errors as error:
        raise explain(error, place) from error


def explain(error: Exception, place: Place) -> EngineError:
    """A client's exception as one with cause and cure."""
    given = getattr(error, "status_code", None)
    status = given if isinstance(given, int) else None
    body = getattr(error, "info", None) if status is not None else None
    said = reason(body) or _one_line(str(_deepest(error)))
    text = _message(error, status, said, told=bool(kind(body)))
    user = f"the user {place.user!r}" if place.user else "somebody without a name"
    names = {"url": place.url, "product": place.product, "other": place.other, "index": place.index, "user": user}
    return EngineError(text.format(**names, connector=place.other.lower(), said=said), status, kind(body))


def _deepest(error: Exception) -> object:
    """What the client's exception was made of; Elasticsearch's has ``errors``, OpenSearch's ``info``."""
    inner = (*getattr(error, "errors", ()), getattr(error, "info", None))
    return next((_deepest(cause) for cause in inner if isinstance(cause, Exception)), error)


def _message(error: Exception, status: int | None, said: str, *, told: bool) -> str:
    if type(error).__name__ == "UnsupportedProductError":
        return _OTHER_PRODUCT
    if "Accept version must be" in said:
        return _OTHER_VERSION
    if status is None:
        found = (
            message for pattern, message in _BY_TEXT.items() if re.search(pattern, f"{error!r} {error}", re.IGNORECASE)
        )
        return next(found, _NOT_READ)
    other = f"{{product}} refuses this with status {status}: {{said}}"
    return _BY_STATUS.get(status, other if told else f"Status {status}. {_NOT_READ}")


def kind(body: Any) -> str:
    """The engine's word for an error, from an error reply; empty if it has none."""
    error = body.get("error") if isinstance(body, Mapping) else None
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def reason(body: Any) -> str:
    """What an error says, as short as it can be: the reason nearest to the cause.

    Args:
        body: an error reply, or one error of it.
    """
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return _one_line(error) if isinstance(error, str) else ""
    causes = [*error.get("root_cause", ()), error]
    reasons = [cause.get("reason") for cause in causes if isinstance(cause, Mapping)]
    deeper = error.get("caused_by")
    first = next(filter(None, reasons), "")
    below = reason(deeper) if isinstance(deeper, Mapping) else ""
    return _one_line(first if below in first else f"{first}: {below}")


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
