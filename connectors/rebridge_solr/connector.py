"""The translator between Solr's requests and replies and rebridge's values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from rebridge import notes
from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary
from rebridge_solr.failures import status_of
from rebridge_solr.plain_words import plain_words
from rebridge_solr.reading import read
from rebridge_solr.replies import NativeReply, candidates, docs, rendered
from rebridge_solr.request import Request
from rebridge_solr.settings import SolrSettings
from rebridge_solr.wire import WindowRefused

if TYPE_CHECKING:
    from rebridge.bridge import Bridge
    from rebridge.http import Exchange, Forward, HttpReply, HttpRequest
    from rebridge.overrides import Overrides
    from rebridge.stories import Story
    from rebridge_solr.engine import SolrEngine

#: Statuses of failures that the size of a window, the fields for passages or the length of the URL can cause.
_WINDOW = frozenset({400, 413, 414, 500})
# What SolrCloud's client says when it has tried all nodes; the path holds the user's query.
_TRIED = re.compile(r"Request \S+ .* failed after \d+ attempts", re.DOTALL)


class SolrConnector:
    """A `rebridge.connector.Connector` for Apache Solr."""

    name: str = "solr"
    settings: type[BaseModel] = SolrSettings

    def read(self, request: Request) -> SearchRequest:
        """Find query text and page in a request, and decide whether it can be reranked.

        The document for a pipeline's own path is ``{"params": ..., "json": ...}``: the parameters in force, text or a
        list of texts each, and the JSON body.

        Raises:
            ConnectorError: if it is not a `Request`.
        """
        return read(request)

    def widen(self, request: Request, plan: PagePlan) -> Request:
        """The same request with a plan, which `rebridge_solr.wire.on_the_wire` writes down."""
        return replace(request, plan=plan)

    def parse(self, reply: NativeReply, plan: PagePlan) -> Sequence[Candidate]:
        """The reply's documents in Solr's order, ranks counted from ``plan.fetch_offset + 1``.

        Raises:
            BadReply: if this is not a search reply, or not all documents have a unique key and a score.
        """
        return list(candidates(reply, plan))

    def refusal(self, answer: NativeReply | Exception) -> str | None:
        """``window_refused`` for a failure that the window may have caused, ``shard_failures`` for partial results."""
        if isinstance(answer, WindowRefused):
            return "window_refused"
        if isinstance(answer, Exception):
            return "window_refused" if status_of(answer) in _WINDOW or _TRIED.fullmatch(str(answer)) else None
        header = answer.get("responseHeader") if isinstance(answer, Mapping) else None
        partial = header.get("partialResults") if isinstance(header, Mapping) else None
        return "shard_failures" if partial in (True, "true", "omitted") else None

    def render(
        self, request: Request, reply: NativeReply, page: Sequence[RankedHit], best: float | None
    ) -> NativeReply:
        """A copy of the reply with exactly these documents and scores; all else as it was."""
        return rendered(request, reply, page, best)

    def annotate(self, reply: Any, summary: Summary, page: Sequence[RankedHit]) -> Any:
        """A copy of the reply with ``_rerank`` in it: the summary, and on each document of ``page`` its evidence."""
        if not isinstance(reply, Mapping):
            return reply
        told = {**reply, notes.KEY: notes.of_summary(summary)}
        if page:
            pairs = zip(docs(reply), page, strict=True)
            hits = [{**hit, notes.KEY: notes.of_hit(ranked)} for hit, ranked in pairs]
            told["response"] = {**reply["response"], "docs": hits}
        return told

    def is_search(self, method: str, path: str) -> bool:
        """Whether such a request over HTTP may be a search."""
        from rebridge_solr import http

        return http.is_search(method, path)

    def exchange(self, request: HttpRequest, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
        """Answer a search that came over HTTP; see `rebridge.http.HttpConnector`."""
        from rebridge_solr import http

        return http.exchange(request, bridge, overrides)

    def failure(self, status: int, kind: str, reason: str) -> HttpReply:
        """An error as Solr writes it."""
        from rebridge_solr import http

        return http.failure(status, kind, reason)

    def request(
        self, text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
    ) -> Request:
        """A request for plain words over weighted fields; see `plain_words`."""
        return plain_words(text, fields=fields, offset=offset, size=size, filters=filters)

    def open(self, settings: SolrSettings, *, create: bool = False) -> SolrEngine:
        """Connect to a core or collection; see `rebridge_solr.opening.open_solr`."""
        from rebridge_solr.opening import open_solr

        return open_solr(settings, create=create)

    def wrap(self, client: Any, bridge: Bridge) -> Any:
        """The same client, with its searches answered by the bridge."""
        from rebridge_solr.wrapping import wrap_client

        return wrap_client(client, bridge)


CONNECTOR = SolrConnector()
