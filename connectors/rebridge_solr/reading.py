"""What a request asks for, and whether it can be reranked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rebridge.errors import ConnectorError
from rebridge.models import Doubt, SearchRequest
from rebridge_solr.effective import Effective, NotJson, effective
from rebridge_solr.fields import parse_fl
from rebridge_solr.local_params import local_params
from rebridge_solr.query_text import explicit_text, query_words
from rebridge_solr.request import Request, known_defaults, texts

#: What Java's ``Integer.parseInt`` takes.
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
MOST = 2**31 - 1
_MORE_LIKE_THIS = frozenset({"mlt"})
#: Handlers of Solr's own whose replies are no list of hits.
NO_SEARCH = frozenset(
    {"analysis", "config", "export", "get", "graph", "replication", "schema", "spell", "sql", "stream", "suggest"}
    | {"tag", "terms", "update", "admin"}
)


def read(request: Request) -> SearchRequest:
    """Find query text and page, and decide whether the request can be reranked.

    Raises:
        ConnectorError: if it is not a request of this connector.
    """
    if not isinstance(request, Request):
        raise ConnectorError(f"A request for Solr is a rebridge_solr.Request, not {type(request).__name__}.")
    native = _native(request)
    try:
        asked = effective(request)
    except NotJson:
        return SearchRequest(native, None, bypass="unreadable_body")
    offset, size = _number(asked.first("start", "0")), _number(asked.first("rows", "10"))
    bypass = _bypass(request, asked) or ("invalid_page" if offset is None or size is None else None)
    bypass = bypass or ("size_0" if size == 0 else None)
    explicit = explicit_text(asked, request.rerank_query)
    text, doubts = (explicit, ()) if explicit else query_words(asked, known_defaults(request, None).unique_key)
    by_score, ties = _sorting(asked.first("sort"))
    ending: tuple[Doubt, ...] = ("tie_breaker",) if ties else ()
    return SearchRequest(
        native,
        text,
        offset or 0,
        10 if size is None else size,
        bypass or (None if by_score else "own_sort"),
        (*doubts, *ending),
        explicit is not None,
        _document(asked),
    )


def handler_of(request: Request) -> str:
    """The request handler that answers, without slashes; ``qt`` chooses one below ``select``."""
    name = request.handler.strip("/")
    other = texts(request.params.get("qt", ()))
    return other[0].strip("/") if name == "select" and other else name


def _bypass(request: Request, asked: Effective) -> str | None:
    handler = handler_of(request).split("/")[0]
    shown = parse_fl(asked.params.get("fl", ()))
    reasons = {
        "more_like_this": handler in _MORE_LIKE_THIS or _parser(asked) in _MORE_LIKE_THIS,
        "not_a_search": handler in NO_SEARCH,
        "format": asked.first("wt", "json") != "json" or bool(asked.first("json.wrf")),
        "cursor": "cursorMark" in asked.params,
        "grouped": asked.flag("group"),
        # Another field under the name of the score would be taken for it, by Solr too.
        "renamed_score": "score" in shown.aliases,
        "unknown_handler": not known_defaults(request, None).told,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _parser(asked: Effective) -> str:
    query = asked.body.get("query")
    if isinstance(query, Mapping):
        return next(iter(query), "")
    params = local_params(asked.first("q"), lambda name: asked.params.get(name, ()))
    return params.first("type") if params is not None else asked.first("defType")


def _number(text: str) -> int | None:
    number = int(text) if _INTEGER.fullmatch(text) else -1
    return number if 0 <= number <= MOST else None


def _sorting(sort: str) -> tuple[bool, bool]:
    """Whether hits are sorted by score, and whether by something else after it."""
    first, _, rest = sort.partition(",")
    return first.lower().split() in ([], ["score", "desc"]), bool(rest.strip())


def _document(asked: Effective) -> dict[str, Any]:
    """``{"params": ..., "json": ...}``: the parameters in force, a list where there are several, and the JSON body."""
    params = {name: list(values) if len(values) > 1 else values[0] for name, values in asked.params.items() if values}
    return {"params": params, "json": dict(asked.body)}


def _native(request: Request) -> Request:
    """The request without what only rebridge knows; the very same one if it holds nothing of the kind."""
    params = _without_own(request.params)
    body = request.json
    if body is not None and isinstance(body.get("params"), Mapping):
        inner = _without_own(body["params"])
        body = body if inner is body["params"] else {**body, "params": inner}
    same = params is request.params and body is request.json and request.rerank_query is None
    return request if same else replace(request, params=params, json=body, rerank_query=None)


def _without_own(params: Mapping[str, Any]) -> Mapping[str, Any]:
    queries = texts(params.get("rq", ()))
    kept = tuple(query for query in queries if not re.match(r"\s*\{!\s*(?:type\s*=\s*)?rebridge\b", query))
    if len(kept) == len(queries) and "rq.text" not in params:
        return params
    left = {name: value for name, value in params.items() if name not in {"rq", "rq.text"}}
    return left | ({"rq": kept[0] if len(kept) == 1 else list(kept)} if kept else {})
