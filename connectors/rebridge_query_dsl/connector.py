"""What the connectors of Elasticsearch and OpenSearch share: everything pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary
from rebridge_query_dsl.reading import read_request
from rebridge_query_dsl.replies import Reply, annotated, candidates, refused, rendered
from rebridge_query_dsl.request import Request
from rebridge_query_dsl.widening import widened

if TYPE_CHECKING:
    from rebridge.bridge import Bridge
    from rebridge.http import Exchange, Forward, HttpReply, HttpRequest
    from rebridge.overrides import Overrides
    from rebridge.stories import Story

#: How much the other fields add to the score of the best one.
_TIE_BREAKER = 0.3


class QueryDslConnector:
    """A `rebridge.connector.Connector` but for its settings and for opening an index."""

    name: str
    #: Whether the ``fields`` option of a search knows ``include_unmapped``.
    knows_unmapped: ClassVar[bool]
    #: Whether replies to templates end with a status.
    template_status: ClassVar[bool]
    #: Whether an excluding ``filter_path`` keeps objects and lists that were empty before.
    keeps_empty: ClassVar[bool]

    def read(self, request: Request) -> SearchRequest:
        """Find query text and page in a request, and decide whether it can be reranked.

        Raises:
            ConnectorError: if it is no `Request`.
        """
        return read_request(request)

    def widen(self, request: Request, plan: PagePlan) -> Request:
        """The same request for the planned slice, with the planned fields in each hit."""
        return widened(request, plan, unmapped=self.knows_unmapped)

    def parse(self, reply: Reply, plan: PagePlan) -> Sequence[Candidate]:
        """The reply's hits in the engine's order, ranks counted from ``plan.fetch_offset + 1``.

        Raises:
            BadReply: if this is not a search reply.
        """
        return candidates(reply, plan, self.name)

    def refusal(self, answer: Reply | Exception) -> str | None:
        """``window_refused`` for an exception with status 400 or 500, ``shard_failures`` for a partial reply."""
        return refused(answer)

    def render(self, request: Request, reply: Reply, page: Sequence[RankedHit], best: float | None) -> Reply:
        """A copy of the reply with exactly these hits and scores, filtered as the user asked; all else as it was."""
        return rendered(request, reply, page, best, template_status=self.template_status, keep_empty=self.keeps_empty)

    def annotate(self, reply: Any, summary: Summary, page: Sequence[RankedHit]) -> Any:
        """A copy of the reply with ``_rerank`` in it: the summary, and on each hit of ``page`` its scores and ranks."""
        return annotated(reply, summary, page)

    def is_search(self, method: str, path: str) -> bool:
        """Whether such a request over HTTP is a search, a search by template or a multi-search."""
        from rebridge_query_dsl import http

        return http.is_search(method, path)

    def exchange(self, request: HttpRequest, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
        """Answer a search that came over HTTP; see `rebridge.http.HttpConnector`."""
        from rebridge_query_dsl import http

        return http.exchange(request, bridge, overrides)

    def failure(self, status: int, kind: str, reason: str) -> HttpReply:
        """An error as the engine writes it."""
        from rebridge_query_dsl import http

        return http.failure(status, kind, reason)

    def request(
        self, text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
    ) -> Request:
        """A request for plain words over weighted fields; with no fields over all that the index searches by default.

        A filter's value must equal a keyword, number or date, and stand as a phrase in a text field.
        """
        words: dict[str, Any] = {"query": text, "tie_breaker": _TIE_BREAKER}
        if fields:
            words["fields"] = [f"{field}^{weight:g}" for field, weight in fields.items()]
        wanted: dict[str, Any] = {"must": [{"multi_match": words}]}
        if filters:
            wanted["filter"] = [_filter(field, value) for field, value in filters.items()]
        return Request(body={"query": {"bool": wanted}, "from": offset, "size": size})


def _filter(field: str, value: Any) -> dict[str, Any]:
    """The clause for a value, a list of values or a range.

    ``match_phrase`` and not ``term``, which looks for the whole value in the index: in a text field there are words.
    """
    if isinstance(value, Mapping):
        return {"range": {field: dict(value)}}
    if isinstance(value, list | tuple | set | frozenset):
        if not value:
            return {"match_none": {}}
        return {"bool": {"should": [_filter(field, item) for item in value], "minimum_should_match": 1}}
    return {"match_phrase": {field: value}}
