"""Search requests of every shape that Elasticsearch and OpenSearch take, and the indices that they are for.

Any way of searching through rebridge must answer them as the engine itself does, but for order and scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import requests

Product = Literal["elasticsearch", "opensearch"]
BOTH: tuple[Product, ...] = ("elasticsearch", "opensearch")

_PROPERTIES: dict[str, Any] = {
    "title": {"type": "text"},
    "text": {"type": "text"},
    "brand": {"type": "keyword"},
    "year": {"type": "integer"},
    "stored": {"type": "text", "store": True},
    "short": {"type": "keyword", "ignore_above": 3},
    "added": {"type": "date"},
    "author": {"properties": {"name": {"type": "text"}, "born": {"type": "integer"}}},
    "comments": {"type": "nested", "properties": {"text": {"type": "text"}, "who": {"type": "keyword"}}},
    "suggest": {"type": "completion"},
}
_VECTOR = {"type": "dense_vector", "dims": 2, "index": True, "similarity": "l2_norm"}
#: Index -> how many documents it holds, and its settings. A name gets a prefix, so that tests do not meet.
INDICES: dict[str, tuple[int, dict[str, Any]]] = {
    "shoes": (40, {}),
    "boots": (25, {}),
    "small": (25, {"index.max_result_window": 20}),
    "long": (25, {"index.highlight.max_analyzed_offset": 400}),
}
ALIAS = "all"


@dataclass(frozen=True)
class Case:
    """A search request.

    Attributes:
        name: what it is about.
        body: the search body.
        params: the URL's parameters.
        index: names without the prefix, separated by commas.
        products: the engines that can answer it here.
    """

    name: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    index: str = "shoes"
    products: tuple[Product, ...] = BOTH

    def target(self, prefix: str) -> str:
        """The index as in the URL."""
        return ",".join(prefix + name for name in self.index.split(","))


def document(number: int, index: str = "shoes") -> dict[str, Any]:
    """A document; those with higher numbers in the index ``long`` have long texts."""
    return {
        "title": f"shoe {number}",
        "text": "shoe " * (1 + number % 4) + "red " * (number % 3) + ("long " * 200 if index == "long" else ""),
        "brand": ("acme", "zed")[number % 2],
        "year": 2000 + number,
        "stored": f"stored {number}",
        "short": "too long" if number % 2 else "ok",
        "lang": "de" if number % 3 else "en",
        "added": "2024-01-02",
        "author": {"name": [f"Ann {number}", "Bob"], "born": 1900 + number},
        "comments": [{"text": f"good {number}", "who": "ann"}, {"text": "bad", "who": "bob"}],
        "suggest": [f"shoe {number}"],
    }


def fill(url: str, product: Product, prefix: str) -> None:
    """Make the indices anew."""
    properties = {**_PROPERTIES, **({"vector": _VECTOR} if product == "elasticsearch" else {})}
    with requests.Session() as http:
        for name, (count, settings) in INDICES.items():
            base = f"{url}/{prefix}{name}"
            http.delete(base, timeout=60)
            body = {
                "settings": {"number_of_shards": 1, "number_of_replicas": 0, **settings},
                "mappings": {"properties": properties},
                "aliases": {prefix + ALIAS: {}} if name in {"shoes", "boots"} else {},
            }
            http.put(base, json=body, timeout=60).raise_for_status()
            lines = [json.dumps(line) for number in range(count) for line in _bulk(number, name, product)]
            headers = {"content-type": "application/x-ndjson"}
            data = "\n".join(lines) + "\n"
            answer = http.post(f"{base}/_bulk?refresh=true", data=data, headers=headers, timeout=60).json()
            assert not answer["errors"], answer


def _bulk(number: int, index: str, product: Product) -> Iterator[dict[str, Any]]:
    # Only documents far behind the first page are long.
    kind = index if number >= 20 else "shoes"
    yield {"index": {"_id": f"{index}-{number}"}}
    yield {**document(number, kind), **({"vector": [number, 1]} if product == "elasticsearch" else {})}


def clear(url: str, prefix: str) -> None:
    """Remove the indices."""
    for name in INDICES:
        requests.delete(f"{url}/{prefix}{name}", timeout=60)


_SHOE: dict[str, Any] = {"match": {"text": "shoe red"}}
_KNN: dict[str, Any] = {"field": "vector", "query_vector": [5, 1]}
_NESTED = {"nested": {"path": "comments", "query": {"match": {"comments.text": "good"}}, "inner_hits": {"size": 1}}}
_RESCORE = {"window_size": 15, "query": {"rescore_query": {"match": {"title": "7"}}}}
_FILTERED = {"bool": {"must": [_SHOE], "filter": [{"term": {"brand": "zed"}}, {"range": {"year": {"gte": 2003}}}]}}
_NAMED = {"match": {"text": {"query": "shoe red", "_name": "words"}}}
_ES: tuple[Product, ...] = ("elasticsearch",)
_OS: tuple[Product, ...] = ("opensearch",)

CASES: tuple[Case, ...] = (
    Case("plain", {"query": _SHOE}),
    Case("second page", {"query": _SHOE, "from": 5, "size": 7}),
    Case("across the window", {"query": _SHOE, "from": 25, "size": 10}),
    Case("behind the window", {"query": _SHOE, "from": 33, "size": 4}),
    Case("behind the end", {"query": _SHOE, "from": 39, "size": 10}),
    Case("behind the end of few", {"query": {"match": {"title": "7"}}, "from": 10}),
    Case("size as text", {"query": _SHOE, "size": "4"}),
    Case("page in the URL", {"query": _SHOE, "size": 20}, {"from": 2, "size": "3"}),
    Case("no hits", {"query": {"match": {"text": "nothing"}}}),
    Case("filters", {"query": _FILTERED}),
    Case("post_filter", {"query": _SHOE, "post_filter": {"term": {"brand": "acme"}}}),
    Case("aggregations", {"query": _SHOE, "aggs": {"brands": {"terms": {"field": "brand"}}}}),
    Case("top_hits", {"query": _SHOE, "aggs": {"top": {"top_hits": {"size": 2, "_source": ["title"]}}}}),
    Case("highlight", {"query": _SHOE, "highlight": {"fields": {"text": {}}}}),
    Case("suggest", {"query": _SHOE, "suggest": {"s": {"text": "shoo", "term": {"field": "title"}}}}),
    Case("completion", {"query": _SHOE, "suggest": {"s": {"prefix": "sho", "completion": {"field": "suggest"}}}}),
    Case("_source false", {"query": _SHOE, "_source": False}),
    Case("_source list", {"query": _SHOE, "_source": ["brand", "author.born"]}),
    Case("_source excludes", {"query": _SHOE, "_source": {"excludes": ["text", "comments.text"]}}),
    Case("_source star", {"query": _SHOE, "_source": ["*"]}),
    Case("_source in the URL", {"query": _SHOE}, {"_source_includes": "brand"}),
    Case("_source false in the URL", {"query": _SHOE}, {"_source": "false"}),
    Case("vectors in _source", {"query": _SHOE, "_source": {"exclude_vectors": False}}, products=_ES),
    Case("fields", {"query": _SHOE, "_source": False, "fields": ["year", "comments.who", {"field": "added"}]}),
    Case("fields and _source", {"query": _SHOE, "fields": ["title", "author.*"]}),
    Case("fields that nobody has", {"query": _SHOE, "_source": False, "fields": ["nobody"]}),
    Case("stored_fields", {"query": _SHOE, "stored_fields": ["stored"]}),
    Case("no stored_fields", {"query": _SHOE, "stored_fields": []}),
    Case("stored_fields in the URL", {"query": _SHOE}, {"stored_fields": "stored"}),
    Case("stored_fields with _source", {"query": _SHOE, "stored_fields": ["_source"]}),
    Case("docvalue_fields", {"query": _SHOE, "_source": False, "docvalue_fields": ["brand", "year"]}),
    Case("script_fields", {"query": _SHOE, "script_fields": {"n": {"script": "doc['year'].value + 1"}}}, products=_OS),
    Case("inner_hits", {"query": {"bool": {"must": [_SHOE], "should": [_NESTED]}}}),
    Case("collapse", {"query": _SHOE, "collapse": {"field": "year", "inner_hits": {"name": "all", "size": 1}}}),
    Case("collapse without _source", {"query": _SHOE, "collapse": {"field": "brand"}, "_source": False}),
    Case("rescore", {"query": _SHOE, "rescore": _RESCORE}),
    Case("knn beside a query", {"query": _SHOE, "knn": {**_KNN, "k": 5, "num_candidates": 9}}, products=_ES),
    Case("knn without k", {"query": {"match": {"title": "30"}}, "knn": _KNN, "size": 6}, products=_ES),
    Case("knn without k or size", {"query": {"match": {"title": "30"}}, "knn": [_KNN]}, {"size": 4}, products=_ES),
    Case("knn query", {"query": {"bool": {"should": [{"match": {"title": "30"}}, {"knn": _KNN}]}}}, products=_ES),
    Case(
        "knn query with candidates",
        {"query": {"bool": {"should": [{"match": {"title": "30"}}, {"knn": {**_KNN, "num_candidates": 4}}]}}},
        {"size": 6},
        products=_ES,
    ),
    Case(
        "retriever", {"retriever": {"standard": {"query": _SHOE, "filter": {"term": {"brand": "zed"}}}}}, products=_ES
    ),
    Case(
        "retriever that collapses",
        {"retriever": {"standard": {"query": _SHOE, "collapse": {"field": "brand"}}}, "_source": False},
        products=_ES,
    ),
    Case(
        "rescorer",
        {"retriever": {"rescorer": {"rescore": _RESCORE, "retriever": {"standard": {"query": _SHOE}}}}, "size": 5},
        products=_ES,
    ),
    Case("min_score", {"query": {"match": {"title": "7"}}, "min_score": 0.5}),
    Case("track_total_hits false", {"query": _SHOE, "track_total_hits": False}),
    Case("track_total_hits 3", {"query": _SHOE, "track_total_hits": 3}),
    Case("total as a number", {"query": _SHOE}, {"rest_total_hits_as_int": "true"}),
    Case("no total as a number", {"query": _SHOE, "track_total_hits": False}, {"rest_total_hits_as_int": "true"}),
    Case("explain", {"query": _SHOE, "explain": True}),
    Case("profile", {"query": _SHOE, "profile": True}),
    Case("routing and preference", {"query": _SHOE}, {"routing": "a", "preference": "_local"}),
    Case("search_type", {"query": _SHOE}, {"search_type": "dfs_query_then_fetch"}, index="shoes,boots"),
    Case("indices", {"query": _SHOE, "indices_boost": [{"*boots": 1.5}]}, index="shoes,boots"),
    Case("pattern", {"query": _SHOE}, index="b*ts"),
    Case("alias", {"query": _SHOE}, index=ALIAS),
    Case("no such index", {"query": _SHOE}, index="nothing*"),
    Case("version", {"query": _SHOE, "version": True, "seq_no_primary_term": True}),
    Case("matched_queries", {"query": _NAMED}),
    Case("matched_queries with scores", {"query": _NAMED}, {"include_named_queries_score": "true"}),
    Case("filter_path", {"query": _SHOE}, {"filter_path": "hits.hits._source.title,hits.total,-**.relation"}),
    Case("filter_path without hits", {"query": _SHOE}, {"filter_path": ["-hits.hits", "-took"]}),
    Case("filter_path without ids", {"query": _SHOE}, {"filter_path": "-hits.hits._id,-hits.max_score"}),
    Case("terminate_after", {"query": _SHOE, "terminate_after": 12}),
    Case("timeout and stats", {"query": _SHOE, "timeout": "10s", "stats": ["group"]}),
    Case("by q", None, {"q": "text:shoe AND NOT brand:acme", "size": "6"}),
    Case("by q beside a query", {"query": {"match": {"text": "red"}}}, {"q": "text:shoe"}),
    Case("by q without _source", None, {"q": "text:shoe", "_source": "false"}),
    Case("typed_keys", {"query": _SHOE, "aggs": {"brands": {"terms": {"field": "brand"}}}}, {"typed_keys": "true"}),
    Case("sort by score", {"query": _SHOE, "sort": ["_score"]}),
    Case("sort by score in the URL", {"query": _SHOE}, {"sort": "_score:desc"}),
    Case("query_string", {"query": {"query_string": {"query": "red AND shoe", "default_field": "text"}}}),
    Case("function_score", {"query": {"function_score": {"query": _SHOE, "weight": 2}}}),
    Case("dis_max", {"query": {"dis_max": {"queries": [_SHOE, {"match": {"title": "shoe"}}], "tie_breaker": 0.3}}}),
)


def cases(product: Product) -> list[Case]:
    """The requests that an engine can answer."""
    return [case for case in CASES if product in case.products]
