"""What a client's exceptions mean for the user: one message with the cause and the cure.

Both clients are told apart by nothing but their exceptions' attributes, so no client is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rebridge.remote import EngineError, Place, one_line

_BY_STATUS: Mapping[int, str] = {
    413: "{url} takes no request of this size (413): raise http.max_content_length there, or a proxy's own limit.",
    503: "{product} at {url} cannot answer (503): index {index!r} or its cluster is not available (red). See "
    "{url}/_cluster/health and /_cluster/allocation/explain. It said: {said}",
}
_BY_TEXT: Mapping[str, str] = {
    "Accept version must be": "{url} is an older {product} than the installed client speaks to: install a client of "
    "its major version, e.g. pip install 'elasticsearch<9'. ({said})",
    "Fingerprints did not match": "The certificate of {url} is not the one of `ca_fingerprint`: correct it. ({said})",
}
_OTHER = {"Elasticsearch": "OpenSearch", "OpenSearch": "Elasticsearch"}


def named(product: str, url: str, index: str, user: str | None, errors: tuple[type[Exception], ...]) -> Place:
    """What messages call the index and its engine.

    Args:
        product: ``Elasticsearch`` or ``OpenSearch``.
        url: its addresses.
        index: the index.
        user: who asks; None if nobody said.
        errors: every exception that the client raises.
    """
    other = _OTHER[product]
    not_this = (
        f"{{url}} is not {{product}}: for {other} write `name: {other.lower()}` in the connector section. If it is "
        "{product} behind a proxy, let the proxy pass its headers on; otherwise correct `hosts`."
    )
    return Place(
        product, url, "hosts", index, user, errors, _BY_STATUS, {"^UnsupportedProductError": not_this, **_BY_TEXT}
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
    said = reason(body) or one_line(str(_deepest(error)))
    return place.failure(status, f"{error!r} {error} {said}", said, kind=kind(body), told=bool(kind(body)))


def _deepest(error: Exception) -> object:
    """What the client's exception was made of; Elasticsearch's has ``errors``, OpenSearch's ``info``."""
    inner = (*getattr(error, "errors", ()), getattr(error, "info", None))
    return next((_deepest(cause) for cause in inner if isinstance(cause, Exception)), error)


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
        return one_line(error) if isinstance(error, str) else ""
    causes = [*error.get("root_cause", ()), error]
    reasons = [cause.get("reason") for cause in causes if isinstance(cause, Mapping)]
    deeper = error.get("caused_by")
    first = next(filter(None, reasons), "")
    below = reason(deeper) if isinstance(deeper, Mapping) else ""
    return one_line(first if below in first else f"{first}: {below}")
