"""The words that a user asked for, read out of an engine's query when nobody gave them explicitly.

Query DSL: https://www.elastic.co/docs/reference/query-languages/querydsl (OpenSearch's is of the same shape).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rebridge.lucene import lucene_text, simple_text

Body = Mapping[str, Any]


def dsl_text(query: Any) -> str | None:
    """The words of a Query DSL clause: each text once, in the order of the query; None if it has none.

    Clauses that only filter or exclude (``filter``, ``must_not``, ``negative``) say nothing about what is wanted.
    """
    texts = dict.fromkeys(text for text in (text.strip() for text in _clause(query)) if text)
    return " ".join(texts) or None


def _clause(query: Any) -> Iterator[str]:
    """Texts of a clause, or of a list of clauses; anything that is neither has none."""
    if isinstance(query, Mapping):
        for name, body in query.items():
            handler = _CLAUSES.get(name)
            if handler is not None and isinstance(body, Mapping):
                yield from handler(body)
    elif isinstance(query, Sequence) and not isinstance(query, str):
        for clause in query:
            yield from _clause(clause)


def _inside(*keys: str) -> Callable[[Body], Iterator[str]]:
    """A compound clause: its texts are those of the clauses under these keys."""
    return lambda body: (text for key in keys for text in _clause(body.get(key)))


def _per_field(key: str) -> Callable[[Body], Iterator[str]]:
    """``{"title": "words"}`` or ``{"title": {"query": "words", ...}}``, with ``key`` for ``query``."""

    def texts(body: Body) -> Iterator[str]:
        for options in body.values():
            value = options.get(key) if isinstance(options, Mapping) else options
            yield from _plain(value)

    return texts


def _under(key: str, clean: Callable[[str], str] = str) -> Callable[[Body], Iterator[str]]:
    """``{"query": "words", "fields": [...]}``."""
    return lambda body: (clean(text) for text in _plain(body.get(key)))


def _plain(value: Any) -> Iterator[str]:
    """Text and numbers; `match` takes both."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _plain(inner)


def _intervals(body: Body) -> Iterator[str]:
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


_CLAUSES: dict[str, Callable[[Body], Iterator[str]]] = {
    "match": _per_field("query"),
    "match_phrase": _per_field("query"),
    "match_phrase_prefix": _per_field("query"),
    "match_bool_prefix": _per_field("query"),
    "intervals": _intervals,
    "semantic": _under("query"),
    "neural": _per_field("query_text"),
    "neural_sparse": _per_field("query_text"),
    "multi_match": _under("query"),
    "combined_fields": _under("query"),
    "query_string": _under("query", lucene_text),
    "simple_query_string": _under("query", simple_text),
    "more_like_this": _under("like"),
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
    "script_score": _inside("query"),
}
