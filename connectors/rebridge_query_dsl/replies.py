"""The search reply of Elasticsearch and OpenSearch: hits out of it, reranked hits into it.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search#operation-search-200
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rebridge import notes
from rebridge.errors import BadReply
from rebridge.models import Candidate, PagePlan, RankedHit, Summary
from rebridge_query_dsl.asked_fields import own_fields, values_by_name
from rebridge_query_dsl.filter_path import filtered
from rebridge_query_dsl.options import url_params
from rebridge_query_dsl.request import Request

Reply = Mapping[str, Any]

# Statuses of answers that a larger page or more fields may have caused: a limit of the index (400), or a highlighter
# or script that fails on a document behind the page (400, or 500 in OpenSearch).
_REFUSALS = frozenset({400, 500})
#: What a hit may have besides its id and score, as far as we look into it.
_PARTS: tuple[tuple[str, type], ...] = (("_source", Mapping), ("fields", Mapping), ("sort", list))


class ItemError(Exception):
    """The engine refused one search of a multi-search.

    Attributes:
        item: what stands in its place in the reply: ``{"error": {...}, "status": 400}``.
        status_code: its status; None if it has none.
    """

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__(item)
        self.item = item
        self.status_code: int | None = item.get("status")

    def __str__(self) -> str:
        error = self.item.get("error")
        reason = error.get("reason") if isinstance(error, Mapping) else error
        return f"the engine answered one search with status {self.status_code}: {reason}"


def candidates(reply: Any, plan: PagePlan, engine: str) -> list[Candidate]:
    """The hits in the engine's order; their sources hold the plan's fields by name, however they came.

    Raises:
        BadReply: if this is not a search reply.
    """
    hits = _hits(reply)
    if hits is None:
        raise BadReply("no list hits.hits", engine, reply)
    found = []
    for position, hit in enumerate(hits):
        problem = _problem(hit)
        if problem is not None:
            raise BadReply(f"hit {position + 1} {problem}", engine, reply)
        rank = plan.fetch_offset + position + 1
        found.append(Candidate(str(hit["_id"]), float(hit.get("_score") or 0), rank, position, _source(hit, plan)))
    return found


def _hits(reply: Any) -> list[Any] | None:
    outer = reply.get("hits") if isinstance(reply, Mapping) else None
    hits = outer.get("hits") if isinstance(outer, Mapping) else None
    return hits if isinstance(hits, list) else None


def _problem(hit: Any) -> str | None:
    """What keeps a hit from being a candidate."""
    if not isinstance(hit, Mapping):
        return "is no object"
    if hit.get("_id") is None:
        return "has no _id"
    score = hit.get("_score")
    if score is not None and not _finite(score):
        return f"has the _score {score!r}"
    odd = next((name for name, kind in _PARTS if name in hit and not isinstance(hit[name], kind)), None)
    return None if odd is None else f"has an odd {odd}"


def _finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _source(hit: Mapping[str, Any], plan: PagePlan) -> Mapping[str, Any]:
    """The document as far as the hit shows it; values by name go before objects that hold only parts."""
    source = hit.get("_source")
    return {**values_by_name(hit, plan.fields), **(source if isinstance(source, Mapping) else {})}


def refused(answer: Any) -> str | None:
    """See `rebridge.connector.Connector.refusal`. Clients' exceptions are told by their attributes alone."""
    if isinstance(answer, Exception):
        meta = getattr(answer, "meta", None)
        status = getattr(answer, "status_code", getattr(meta, "status", None))
        return "window_refused" if _refuses(status) else None
    if isinstance(answer, Mapping) and "error" in answer and _refuses(answer.get("status")):
        return "window_refused"  # clients can be told to hand errors over as replies
    shards = answer.get("_shards") if isinstance(answer, Mapping) else None
    failed = shards.get("failed") if isinstance(shards, Mapping) else None
    return "shard_failures" if isinstance(failed, int) and failed > 0 else None


def _refuses(status: Any) -> bool:
    return isinstance(status, int) and status in _REFUSALS


def rendered(  # noqa: PLR0913 - a reply, what it becomes, and two habits of the engine
    request: Request,
    reply: Reply,
    page: Sequence[RankedHit],
    best: float | None,
    *,
    template_status: bool,
    keep_empty: bool,
) -> Reply:
    """See `rebridge.connector.Connector.render`.

    Args:
        request: the user's own.
        reply: the reply to the widened request.
        page: the hits to show.
        best: the highest final score; None if the engine's own scores stand.
        template_status: whether the engine ends replies to templates with a status.
        keep_empty: see `rebridge_query_dsl.filter_path.filtered`.
    """
    outer = reply["hits"]
    hits = own_fields(request, [_scored(outer["hits"][hit.candidate.position], hit, best) for hit in page])
    top = {} if best is None or outer.get("max_score") is None else {"max_score": best}
    status = {"status": 200} if request.template is not None and template_status else {}
    whole = {**reply, "hits": {**outer, **top, "hits": hits}, **status}
    filter_path = url_params(request).get("filter_path")
    return filtered(whole, filter_path, keep_empty=keep_empty) if filter_path else whole


def _scored(hit: Mapping[str, Any], ranked: RankedHit, best: float | None) -> Mapping[str, Any]:
    """The hit with its final score; where it was sorted by score and a tie-breaker, also among its sort values."""
    if best is None:
        return hit
    sort = {"sort": [ranked.score, *hit["sort"][1:]]} if hit.get("sort") else {}
    return {**hit, "_score": ranked.score, **sort}


def annotated(reply: Any, summary: Summary, page: Sequence[RankedHit]) -> Any:
    """See `rebridge.connector.Connector.annotate`. Hits that a ``filter_path`` took out get no notes."""
    if not isinstance(reply, Mapping):
        return reply
    told = {**reply, notes.KEY: notes.of_summary(summary)}
    hits = _hits(reply)
    if page and hits is not None and len(hits) == len(page):
        noted = [{**hit, notes.KEY: notes.of_hit(ranked)} for hit, ranked in zip(hits, page, strict=True)]
        told["hits"] = {**reply["hits"], "hits": noted}
    return told
