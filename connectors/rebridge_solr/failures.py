"""What pysolr's exceptions mean for the user: one message with the cause and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rebridge.remote import EngineError, Place, one_line
from rebridge_solr.settings import SolrSettings

# Only pysolr's own words: what follows may repeat the user's query.
_STATUS = re.compile(r"Solr responded with an error \(HTTP (\d{3})\)")
_REASON = re.compile(r"\[Reason: (.*?)\]\s*$", re.DOTALL)
_BY_STATUS = {
    404: "Solr at {url} has no core, collection or handler of this name (404): correct `index`. It said: {said}",
}
_BY_TEXT = {
    r"Invalid Date (?:in Date Math )?String": "{product} at {url} takes no such date: write 2018-03-01T00:00:00Z. "
    "It said: {said}",
}


def place(settings: SolrSettings) -> Place:
    """What messages call Solr."""
    return Place("Solr", settings.url, "url", settings.index, settings.user, by_status=_BY_STATUS, by_text=_BY_TEXT)


@contextmanager
def translated(settings: SolrSettings) -> Iterator[None]:
    """Raise an `EngineError` for whatever pysolr, requests or their decoder raises."""
    import pysolr
    import requests

    try:
        yield
    except (pysolr.SolrError, requests.RequestException, ValueError) as error:
        raise explain(error, settings) from error


def explain(error: Exception, settings: SolrSettings) -> EngineError:
    """A client's exception as one with cause and cure."""
    text = str(error)
    reason = _REASON.search(text)
    said = one_line(reason[1] if reason else text.rpartition("Caused by ")[2])
    return place(settings).failure(status_of(error), text, said, told=reason is not None)


def status_of(error: Exception) -> int | None:
    """The HTTP status behind a failure, as our engine, httpx, requests or pysolr tells it."""
    for teller in (error, getattr(error, "response", None)):
        status = getattr(teller, "status_code", None)
        if isinstance(status, int):
            return status
    told = _STATUS.match(str(error))
    return int(told[1]) if told else None
