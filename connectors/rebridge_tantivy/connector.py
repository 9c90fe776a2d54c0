"""The translator between the embedded engine's requests and replies and rebridge's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from rebridge import notes
from rebridge.errors import BadReply
from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary
from rebridge_tantivy.documents import pick
from rebridge_tantivy.index import Index
from rebridge_tantivy.opening import open_index
from rebridge_tantivy.request import parse_request
from rebridge_tantivy.settings import IndexSettings

NativeRequest = Mapping[str, Any]
NativeReply = Mapping[str, Any]


class TantivyConnector:
    """A `rebridge.connector.Connector` for the embedded engine."""

    name: str = "tantivy"
    settings: type[BaseModel] = IndexSettings

    def read(self, request: NativeRequest) -> SearchRequest:
        """Find query text and page in a request (see `Request`), and decide whether it can be reranked.

        Raises:
            ConnectorError: if the request or the syntax of its query is not valid.
        """
        asked = parse_request(request)
        text = asked.query_text
        bypass = None
        if asked.size == 0:
            bypass = "size_0"
        elif asked.sort is not None:
            bypass = "own_sort"
        return SearchRequest(request, text, asked.offset, asked.size, bypass)

    def widen(self, request: NativeRequest, plan: PagePlan) -> NativeRequest:
        """The same request for the planned slice, with the planned fields in each hit."""
        source = request.get("source", True)
        if source is not True:
            source = list(dict.fromkeys([*(source or ()), *plan.fields]))
        return {**request, "from": plan.fetch_offset, "size": plan.fetch_size, "source": source}

    def parse(self, reply: NativeReply, plan: PagePlan) -> Sequence[Candidate]:
        """The reply's hits in the engine's order, ranks counted from ``plan.fetch_offset + 1``.

        Raises:
            BadReply: if this is not a search reply.
        """
        return [
            Candidate(
                doc_id=hit["_id"],
                score=hit["_score"] or 0.0,
                rank=plan.fetch_offset + position + 1,
                position=position,
                source=hit.get("_source") or {},
            )
            for position, hit in enumerate(_hits(reply))
        ]

    def refusal(self, answer: NativeReply | Exception) -> str | None:
        """The embedded engine has no limits: what fails for a window fails for a page."""
        del answer
        return None

    def render(
        self, request: NativeRequest, reply: NativeReply, page: Sequence[RankedHit], best: float | None
    ) -> NativeReply:
        """A copy of the reply with exactly these hits and scores; all else as it was."""
        hits = _hits(reply)
        keep = request.get("source", True)
        rendered = [
            _with_source({**hits[ranked.candidate.position], "_score": ranked.score}, keep=keep) for ranked in page
        ]
        top = {} if best is None else {"max_score": best}
        return {**reply, "hits": {**reply["hits"], "hits": rendered, **top}}

    def annotate(self, reply: NativeReply, summary: Summary, page: Sequence[RankedHit]) -> NativeReply:
        """A copy of the reply with ``_rerank`` in it: the summary, and on each hit of ``page`` its scores and ranks."""
        told = notes.of_summary(summary)
        if not page:
            return {**reply, notes.KEY: told} if isinstance(reply, Mapping) else reply
        hits = [{**hit, notes.KEY: notes.of_hit(ranked)} for hit, ranked in zip(_hits(reply), page, strict=True)]
        return {**reply, "hits": {**reply["hits"], "hits": hits}, notes.KEY: told}

    def request(
        self, text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
    ) -> NativeRequest:
        """A request for plain words over weighted fields; with no fields over all text fields of the index."""
        request: dict[str, Any] = {"query": text, "from": offset, "size": size}
        if fields:
            request["fields"] = dict(fields)
        if filters:
            request["filter"] = dict(filters)
        return request

    def open(self, settings: IndexSettings, *, create: bool = False) -> Index:
        """Open the index in a folder; see `open_index`."""
        return open_index(settings, create=create)


def _hits(reply: NativeReply) -> Sequence[Mapping[str, Any]]:
    hits: Sequence[Mapping[str, Any]] = ()
    try:
        hits = reply["hits"]["hits"]
        sound = isinstance(hits, list) and all({"_id", "_score"} <= hit.keys() for hit in hits)
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise BadReply("no list hits.hits of hits with _id and _score", "tantivy", reply)
    return hits


def _with_source(hit: dict[str, Any], *, keep: bool | Sequence[str]) -> dict[str, Any]:
    if keep is False:
        hit.pop("_source", None)
    elif keep is not True:
        hit["_source"] = pick(hit["_source"], keep)
    return hit


CONNECTOR = TantivyConnector()
