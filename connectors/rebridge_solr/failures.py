"""What pysolr's exceptions mean for the user: one message with the cause and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rebridge.errors import ConnectorError
from rebridge_solr.settings import SolrSettings

_LONGEST = 300  # characters of Solr's own words
_STATUS = re.compile(r"\(HTTP (\d{3})\)")
_REASON = re.compile(r"\[Reason: (.*?)\]\s*$", re.DOTALL)


class SolrFailure(ConnectorError):
    """Solr refused a request or gave no answer. The client's exception is its cause.

    Args:
        message: cause and cure.
        status_code: the HTTP status; None if there was no answer.
        said: Solr's own words; empty if there are none.
    """

    def __init__(self, message: str, status_code: int | None = None, said: str = "") -> None:
        super().__init__(message, status_code, said)
        self.message, self.status_code, self.said = message, status_code, said

    def __str__(self) -> str:
        return self.message


# What Solr or something before it answers -> what to do. {said} is its own words.
_BY_STATUS = {
    401: "{url} does not let {user} in (401): correct `user` and `password` of the connector. They can also come from "
    "the environment: REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD.",
    403: "{user} may not do this at {url} (403): give the role the right to it on {index!r}. Solr: {said}",
    404: "Solr at {url} has no core, collection or handler of this name (404): correct `index`. It said: {said}",
    413: "{url} takes no request of this size (413): raise the limit of the proxy or of Solr.",
    500: "Solr at {url} failed (500), see its log. It said: {said}",
    502: "A proxy at {url} cannot reach Solr (502): start Solr, or correct `url`.",
    503: "Solr at {url} cannot answer (503): {index!r} has shards that are not available. It said: {said}",
    504: "A proxy at {url} got no answer from Solr in time (504): try again.",
}
# What a connection that failed says -> what to do, the first that fits.
_BY_TEXT = {
    r"hostname mismatch|doesn't match": "The certificate of {url} is for another host: use the name that stands in it. "
    "({said})",
    r"CERTIFICATE_VERIFY_FAILED": "The certificate of {url} is not trusted: set `ca_certs` to the file of the "
    "authority that signed it. ({said})",
    r"WRONG_VERSION_NUMBER|RECORD_LAYER|EOF occurred in violation": "{url} does not speak TLS: write http:// in `url`. "
    "({said})",
    r"RemoteDisconnected|BadStatusLine|Connection aborted|reset by peer": "{url} ended the connection: if it speaks "
    "TLS, write https:// in `url`. ({said})",
    r"timed out|timeout": "{url} gives no answer in time: start Solr, correct `url`, or raise `timeout_s`. ({said})",
    r"refused": "Nothing listens at {url}: start Solr, or correct `url`. ({said})",
    r"resolve|getaddrinfo|Name or service": "The host of {url} is not known: correct `url`. ({said})",
}
#: The message about an address where something else answers.
NOT_SOLR = "{url} does not answer as Solr does: correct `url`, which ends in /solr as a rule. It said: {said}"


@contextmanager
def translated(settings: SolrSettings) -> Iterator[None]:
    """Raise a `SolrFailure` for whatever pysolr, requests or their decoder raises."""
    import pysolr
    import requests

    try:
        yield
    except (pysolr.SolrError, requests.RequestException, ValueError) as error:
        raise explain(error, settings) from error


def explain(error: Exception, settings: SolrSettings) -> SolrFailure:
    """A client's exception as one with cause and cure."""
    text = str(error)
    told = _STATUS.search(text)
    status = int(told[1]) if told else None
    reason = _REASON.search(text)
    said = one_line(reason[1] if reason else text.rpartition("Caused by ")[2])
    return failure(text, status, said, settings, told=reason is not None)


def failure(text: str, status: int | None, said: str, settings: SolrSettings, *, told: bool) -> SolrFailure:
    """A failure with cause and cure.

    Args:
        text: what the client says; looked at where there is no status.
        status: the HTTP status.
        said: Solr's own words, or what stands for them.
        settings: where Solr was looked for.
        told: whether these are Solr's words.
    """
    user = f"the user {settings.user!r}" if settings.user else "somebody without a name"
    names: dict[str, Any] = {"url": settings.url, "index": settings.index, "user": user, "said": said}
    return SolrFailure(_message(text, status, told=told).format(**names), status, said)


def _message(text: str, status: int | None, *, told: bool) -> str:
    if status is None:
        found = (message for pattern, message in _BY_TEXT.items() if re.search(pattern, text, re.IGNORECASE))
        return next(found, NOT_SOLR)
    other = f"Solr at {{url}} refuses this with status {status}: {{said}}"
    return _BY_STATUS.get(status, other if told else f"Status {status}. {NOT_SOLR}")


def one_line(text: str) -> str:
    """A text without line breaks, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
