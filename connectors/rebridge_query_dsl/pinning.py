"""What in a request depends on the size of its page, written out, so that asking for more hits changes nothing else.

kNN without ``k`` takes it from the size: the ``knn`` section of a search from the body's alone, the ``knn`` query from
the one that counts (tried on Elasticsearch 9.2). OpenSearch's ``knn`` query has another shape and always names its k.
https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-knn-query
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rebridge_query_dsl.options import DEFAULT_SIZE, body_number

#: Keys under which queries stand, in a body or in a retriever.
_QUERIES = frozenset({"filter", "post_filter", "query", "rescore_query"})
#: Retrievers that pass their inner retriever's hits on, and so have no limit of their own.
_UNLIMITED = frozenset({"knn", "standard"})


def pinned(body: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The body with a ``k`` in every kNN that lacks one; ``size`` is that of the page."""
    own_size = body_number(body.get("size", DEFAULT_SIZE))
    changed = {key: _pin_queries(value, size, inside=key in _QUERIES) for key, value in body.items() if key != "knn"}
    return {key: changed[key] if key in changed else _pin_section(value, own_size) for key, value in body.items()}


def _pin_section(knn: Any, size: int | None) -> Any:
    if isinstance(knn, list):
        return [_pin_section(item, size) for item in knn]
    return {**knn, "k": size} if isinstance(knn, Mapping) and "k" not in knn else knn


def _pin_queries(value: Any, size: int, *, inside: bool) -> Any:
    """The value with every ``knn`` query pinned; ``inside`` a query, where the word is no retriever's name."""
    if isinstance(value, list):
        return [_pin_queries(item, size, inside=inside) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _pin_clause(inner, size)
        if inside and key == "knn"
        else _pin_queries(inner, size, inside=inside or key in _QUERIES)
        for key, inner in value.items()
    }


def _pin_clause(knn: Any, size: int) -> Any:
    if not isinstance(knn, Mapping) or not isinstance(knn.get("field"), str) or "k" in knn:
        return knn
    candidates = body_number(knn.get("num_candidates", size))
    return {**knn, "k": size if candidates is None else min(size, candidates)}


def most_hits(body: Mapping[str, Any]) -> int | None:
    """How many hits the body's retriever can give, whatever the size; a larger size is refused. None for no limit.

    https://www.elastic.co/docs/reference/elasticsearch/rest-apis/retrievers
    """
    retriever = body.get("retriever")
    if not isinstance(retriever, Mapping) or len(retriever) != 1:
        return None
    kind, options = next(iter(retriever.items()))
    if kind in _UNLIMITED or not isinstance(options, Mapping):
        return None
    if kind != "rescorer":
        return body_number(options.get("rank_window_size", DEFAULT_SIZE))
    rescore = options.get("rescore")
    stages = rescore if isinstance(rescore, list) else [rescore]
    sizes = [body_number(stage.get("window_size", DEFAULT_SIZE)) for stage in stages if isinstance(stage, Mapping)]
    return min((size for size in sizes if size is not None), default=None)
