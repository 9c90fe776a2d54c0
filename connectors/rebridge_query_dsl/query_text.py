"""The words that a user asked for, read out of an engine's query when nobody gave them explicitly.

Query DSL: https://www.elastic.co/docs/reference/query-languages/querydsl and https://docs.opensearch.org/latest/query-dsl/.
Retrievers: https://www.elastic.co/docs/reference/elasticsearch/rest-apis/retrievers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rebridge.lucene import lucene_text, simple_text

Body = Mapping[str, Any]
#: Texts of a clause, or of a list of clauses.
Walk = Callable[[Any], Iterator[str]]
#: What a kind of clause has to say: its body, and how to go on into the clauses inside it.
Handler = Callable[[Body, Walk], Iterator[str]]
Table = Mapping[str, Handler]


def dsl_text(query: Any) -> str | None:
    """The words of a Query DSL clause: each text once, in the order of the query; None if it has none.

    Clauses that only filter or exclude (``filter``, ``must_not``, ``negative``) say nothing about what is wanted.
    """
    return _joined(_walk(_WANTED)(query))


def search_text(body: Body) -> str | None:
    """The words of a search body: those of its query, retriever, sub-searches and vectors made from text."""
    return _search(body, _WANTED)


def term_text(body: Body) -> str | None:
    """The values of a search body's term-level queries: exact values rather than words."""
    return _search(body, _EXACT)


def filter_text(body: Body) -> str | None:
    """The words of a search body with those of its filters."""
    return _search(body, _WANTED_IN_FILTERS, "query", "post_filter")


def filter_term_text(body: Body) -> str | None:
    """The values of a search body's term-level queries with those of its filters."""
    return _search(body, _EXACT_IN_FILTERS, "query", "post_filter")


def _search(body: Body, table: Table, *keys: str) -> str | None:
    walk = _walk(table)
    found = [text for key in keys or ("query",) for text in walk(body.get(key))]
    found += _retriever(body.get("retriever"), walk)
    for search in _items(body.get("sub_searches")):
        found += walk(search.get("query"))
    for vector in _items(body.get("knn")):
        found += walk({"knn": vector})
    return _joined(found)


def _joined(found: Iterable[str]) -> str | None:
    return " ".join(dict.fromkeys(text for text in (text.strip() for text in found) if text)) or None


def _items(value: Any) -> list[Body]:
    """The objects in a value that may be one object or a list of them."""
    values = value if isinstance(value, Sequence) else [value]
    return [item for item in values if isinstance(item, Mapping)]


def _walk(table: Table) -> Walk:
    def walk(query: Any) -> Iterator[str]:
        for clause in _items(query):
            for name, body in clause.items():
                handler = table.get(name)
                if handler is not None and isinstance(body, Mapping):
                    yield from handler(body, walk)

    return walk


def _retriever(retriever: Any, walk: Walk) -> Iterator[str]:
    """Texts of a retriever and those inside it; one that names the text for a model says all itself."""
    for item in _items(retriever):
        for name, body in item.items():
            if name == "retriever":  # an entry of `retrievers` may hold a weight beside it
                yield from _retriever(body, walk)
            elif name == "knn":
                yield from walk({"knn": body})
            elif isinstance(body, Mapping):
                named = list(_plain(body.get("inference_text")))
                query = body.get("query")
                yield from named or (_plain(query) if isinstance(query, str) else walk(query))
                if not named:
                    yield from _retriever(body.get("retriever"), walk)
                    yield from _retriever(body.get("retrievers"), walk)


def _inside(*keys: str) -> Handler:
    """A compound clause: its texts are those of the clauses under these keys."""
    return lambda body, walk: (text for key in keys for text in walk(body.get(key)))


def _per_field(*keys: str, clean: Callable[[str], str] = str) -> Handler:
    """``{"title": "words"}`` or ``{"title": {"query": "words", ...}}``, with one of ``keys`` for ``query``."""

    def found(body: Body, walk: Walk) -> Iterator[str]:
        del walk
        for options in body.values():
            values = [options.get(key) for key in keys] if isinstance(options, Mapping) else [options]
            for value in values:
                yield from (clean(text) for text in _plain(value))

    return found


def _under(key: str, clean: Callable[[str], str] = str) -> Handler:
    """``{"query": "words", "fields": [...]}``."""
    return lambda body, _walk: (clean(text) for text in _plain(body.get(key)))


def _plain(value: Any) -> Iterator[str]:
    """Text and numbers; `match` takes both."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _plain(inner)


def _intervals(body: Body, walk: Walk) -> Iterator[str]:
    del walk
    for rule in body.values():
        yield from _interval_rule(rule)


def _interval_rule(rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        return
    yield from _plain(rule.get("match", {}).get("query") if isinstance(rule.get("match"), Mapping) else None)
    for combination in ("all_of", "any_of"):
        inner = rule.get(combination)
        for part in inner.get("intervals", ()) if isinstance(inner, Mapping) else ():
            yield from _interval_rule(part)


def _vector(body: Body, walk: Walk) -> Iterator[str]:
    """The text that the engine makes the vector of a ``knn`` from."""
    del walk
    for builder in _items(body.get("query_vector_builder")):
        for options in _items(builder.get("text_embedding")):
            yield from _plain(options.get("model_text"))


def _terms(body: Body, walk: Walk) -> Iterator[str]:
    """``{"brand": ["acme", "zed"], "boost": 1.0}``; values that are looked up elsewhere are not known."""
    del walk
    for values in body.values():
        if isinstance(values, Sequence) and not isinstance(values, str):
            yield from _plain(values)


def _kibana_text(query: str) -> str:
    """Words in Kibana's language, which is close to Lucene's but takes operators in small letters too.

    https://www.elastic.co/docs/reference/query-languages/kql
    """
    return lucene_text(re.sub(r'"[^"]*"|\b(?:and|or|not)\b', _operator, query))


def _operator(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else match[0].upper()


def _without_wildcards(text: str) -> str:
    return text.replace("*", " ").replace("?", " ")


_COMPOUND: Table = {
    "bool": _inside("must", "should"),
    "boosting": _inside("positive"),
    "constant_score": _inside("filter"),
    "dis_max": _inside("queries"),
    "function_score": _inside("query"),
    "has_child": _inside("query"),
    "has_parent": _inside("query"),
    "hybrid": _inside("queries"),
    "nested": _inside("query"),
    "pinned": _inside("organic"),
    "rule": _inside("organic"),
    "rule_query": _inside("organic"),
    "script_score": _inside("query"),
}
_FULL_TEXT: Table = {
    "agentic": _under("query_text"),
    "combined_fields": _under("query"),
    "intervals": _intervals,
    "knn": _vector,
    "kql": _under("query", _kibana_text),
    "match": _per_field("query"),
    "match_bool_prefix": _per_field("query"),
    "match_phrase": _per_field("query"),
    "match_phrase_prefix": _per_field("query"),
    "more_like_this": _under("like"),
    "multi_match": _under("query"),
    "neural": _per_field("query_text"),
    "neural_sparse": _per_field("query_text"),
    "query_string": _under("query", lucene_text),
    "semantic": _under("query"),
    "simple_query_string": _under("query", simple_text),
    "sparse_vector": _under("query"),
    "text_expansion": _per_field("model_text"),
}
_TERM_LEVEL: Table = {
    "fuzzy": _per_field("value"),
    "prefix": _per_field("value"),
    "span_near": _inside("clauses"),
    "span_or": _inside("clauses"),
    "span_term": _per_field("value", "term"),
    "term": _per_field("value"),
    "terms": _terms,
    "terms_set": _per_field("terms"),
    "wildcard": _per_field("value", "wildcard", clean=_without_wildcards),
}
_FILTERS: Table = {"bool": _inside("must", "should", "filter")}
_WANTED: Table = {**_COMPOUND, **_FULL_TEXT}
_EXACT: Table = {**_COMPOUND, **_TERM_LEVEL}
_WANTED_IN_FILTERS: Table = {**_WANTED, **_FILTERS}
_EXACT_IN_FILTERS: Table = {**_EXACT, **_FILTERS}
