"""Query text and page of a request, and whether it can be reranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rebridge.errors import ConnectorError
from rebridge.lucene import lucene_text
from rebridge.models import Doubt, SearchRequest
from rebridge_query_dsl.options import DEFAULT_SIZE, inside, page_of, texts, url_params
from rebridge_query_dsl.query_text import filter_term_text, filter_text, search_text, term_text
from rebridge_query_dsl.request import Request

#: Where words are looked for if the query asks for none, and what is doubtful about them.
_LAST_RESORTS: tuple[tuple[Callable[[Mapping[str, Any]], str | None], tuple[Doubt, ...]], ...] = (
    (term_text, ("term_query",)),
    (filter_text, ("filter_text",)),
    (filter_term_text, ("term_query", "filter_text")),
)


def read_request(request: Any) -> SearchRequest:
    """Take a request apart.

    Raises:
        ConnectorError: if it is no `Request`.
    """
    if not isinstance(request, Request):
        raise ConnectorError(f"This is not a request for Elasticsearch or OpenSearch: {request!r}")
    body: Any = request.body
    if body is not None and not isinstance(body, Mapping):
        return SearchRequest(request, None, bypass="unreadable_body")
    page = page_of(request)
    offset, size = page or (0, DEFAULT_SIZE)
    text = _given_text(request)
    explicit, doubts = text is not None, _sort_doubts(request)
    if text is None:
        text, text_doubts = _query_text(request)
        doubts += text_doubts
    bypass = next((reason for reason, applies in _BYPASS.items() if applies(request)), None)
    return SearchRequest(_native(request), text, offset, size, bypass, doubts, explicit, body)


def _given_text(request: Request) -> str | None:
    """The words that the caller names for reranking, with the request or in its body.

    Body: https://docs.opensearch.org/latest/search-plugins/search-pipelines/rerank-processor/
    """
    context = inside(request.body, "ext", "rerank", "query_context")
    path = inside(context, "query_text_path")
    there = inside(request.body, *path.split(".")) if isinstance(path, str) else None
    for text in (request.rerank_query, inside(context, "query_text"), there):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return None


def _query_text(request: Request) -> tuple[str | None, tuple[Doubt, ...]]:
    body, query = request.body or {}, url_params(request).get("q")
    text = lucene_text(str(query)) or None if query else search_text(body)
    if text is not None or query:
        return text, ()
    for find, doubts in _LAST_RESORTS:
        text = find(body)
        if text is not None:
            return text, doubts
    return None, ()


def _native(request: Request) -> Request:
    """The request without what only rebridge knows.

    A request that names a search pipeline keeps ``ext.rerank``: OpenSearch's own rerank processor wants it.
    """
    body, ext = request.body, inside(request.body, "ext")
    named = "search_pipeline" in url_params(request) or "search_pipeline" in (body or {})
    if body is None or not isinstance(ext, Mapping) or "rerank" not in ext or named:
        return request if request.rerank_query is None else replace(request, rerank_query=None)
    others = {key: value for key, value in ext.items() if key != "rerank"}
    kept = {key: others if key == "ext" else value for key, value in body.items() if others or key != "ext"}
    # A template cannot be changed, but what it renders to can be sent instead.
    params = request.params if request.template is None else url_params(request)
    return replace(request, body=kept, params=params, template=None, rerank_query=None)


def _sort_keys(request: Request) -> list[tuple[str, str]]:
    """What the hits are sorted by, as (field, order): the body's sort first, then the URL's."""
    entries = (request.body or {}).get("sort", [])
    keys = []
    for entry in entries if isinstance(entries, list | tuple) else [entries]:
        items: Iterable[tuple[str, Any]] = entry.items() if isinstance(entry, Mapping) else [(str(entry), None)]
        keys += [(field, str(_order(options) or _usual(field)).lower()) for field, options in items]
    for text in texts(url_params(request).get("sort")):
        field, _, order = text.partition(":")
        keys.append((field, order or _usual(field)))
    return keys


def _order(options: Any) -> Any:
    return options.get("order") if isinstance(options, Mapping) else options


def _usual(field: str) -> str:
    return "desc" if field == "_score" else "asc"


def _sort_doubts(request: Request) -> tuple[Doubt, ...]:
    return ("tie_breaker",) if len(_sort_keys(request)) > 1 else ()


def _own_sort(request: Request) -> bool:
    retriever = inside(request.body, "retriever", "standard", "sort")
    return retriever is not None or _sort_keys(request)[:1] not in ([], [("_score", "desc")])


def _names(key: str) -> Callable[[Request], bool]:
    """Whether the URL or the body has this key."""
    return lambda request: any(key in part for part in (url_params(request), request.body or {}))


def _search_after(request: Request) -> bool:
    return _names("search_after")(request) or inside(request.body, "retriever", "standard", "search_after") is not None


def _no_stored_fields(request: Request) -> bool:
    values = [url_params(request).get("stored_fields"), inside(request.body, "stored_fields")]
    return any("_none_" in texts(value) for value in values)


#: Why a request must not be reranked, the first that applies:
#:
#: - ``invalid_page``: the engine would refuse ``from`` or ``size``, in words that the user should see;
#: - ``size_0``: no hits are asked for;
#: - ``scroll``, ``point_in_time``, ``search_after``, ``slice``: the engine keeps the order from page to page;
#: - ``own_sort``: by a field, or by the lowest score first;
#: - ``stored_fields_none``: the hits have no id;
#: - ``format``: the reply is no JSON;
#: - ``body_in_url``: the search body is text in the parameter ``source``;
#: - ``unreadable_body``: the body is no object.
_BYPASS: dict[str, Callable[[Request], bool]] = {
    "invalid_page": lambda request: page_of(request) is None,
    "size_0": lambda request: (page_of(request) or (0, 1))[1] == 0,
    "scroll": _names("scroll"),
    "point_in_time": _names("pit"),
    "search_after": _search_after,
    "slice": _names("slice"),
    "own_sort": _own_sort,
    "stored_fields_none": _no_stored_fields,
    "format": lambda request: url_params(request).get("format", "json") != "json",
    "body_in_url": lambda request: "source" in url_params(request),
}
