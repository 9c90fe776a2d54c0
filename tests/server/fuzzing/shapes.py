"""Requests and replies that are nearly right."""

from __future__ import annotations

import gzip
import json
import string
from typing import Any

from hypothesis import strategies as st

#: Texts with what breaks parsers: quotes, escapes, halves of surrogate pairs, other scripts, template braces.
TEXT = st.one_of(
    st.sampled_from(
        ["", "shoe", "shoe 1", "*", "_all", "a,b", "{{q}}", "\ud83d", "\x00", "\u2028", "ä", "-1", "1e400", "null"]
    ),
    st.text(max_size=12),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 10, 10_000, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=4
)


def keyed(known: dict[str, Any], *, most: int = 6) -> Any:
    """Objects with some of these keys, mostly with values that fit, and sometimes others."""
    fitting = st.fixed_dictionaries({}, optional=known)
    odd = st.dictionaries(st.sampled_from(sorted(known)), JSON, max_size=most)
    return st.one_of(fitting, fitting, st.builds(lambda one, other: one | other, fitting, odd))


def _compound(inner: Any) -> Any:
    clause = st.one_of(inner, st.lists(inner, max_size=3))
    return st.one_of(
        st.fixed_dictionaries(
            {"bool": keyed({"must": clause, "should": clause, "filter": clause, "must_not": clause})}
        ),
        st.fixed_dictionaries({"dis_max": keyed({"queries": clause, "tie_breaker": NUMBERS})}),
        st.fixed_dictionaries({"constant_score": keyed({"filter": inner, "boost": NUMBERS})}),
        st.fixed_dictionaries({"nested": keyed({"path": TEXT, "query": inner, "inner_hits": JSON})}),
        st.fixed_dictionaries({"function_score": keyed({"query": inner, "functions": JSON, "boost_mode": TEXT})}),
        st.fixed_dictionaries({"boosting": keyed({"positive": inner, "negative": inner})}),
    )


FIELDS = st.sampled_from(["title", "title^2", "*", "n", "_id", "a.b"])
QUERY = st.recursive(
    st.one_of(
        st.builds(
            lambda kind, name, value: {kind: {name: value}},
            st.sampled_from(["match", "match_phrase", "term", "prefix", "terms", "range"]),
            FIELDS,
            st.one_of(TEXT, keyed({"query": TEXT, "value": TEXT, "boost": NUMBERS, "operator": TEXT}), JSON),
        ),
        st.builds(
            lambda kind, inside: {kind: inside},
            st.sampled_from(
                ["multi_match", "query_string", "simple_query_string", "more_like_this", "knn", "script_score"]
            ),
            keyed({"query": TEXT, "fields": st.lists(FIELDS, max_size=2), "like": JSON, "type": TEXT, "field": FIELDS}),
        ),
        st.just({"match_all": {}}),
        JSON,
    ),
    _compound,
    max_leaves=4,
)
COUNT = st.one_of(st.integers(-1, 40), NUMBERS, TEXT)
SEARCH = keyed(
    {
        "query": QUERY,
        "from": COUNT,
        "size": COUNT,
        "sort": st.one_of(
            st.sampled_from(["_score", ["_score"], [{"_score": "desc"}], "n", [{"n": {"order": "asc"}}]]), JSON
        ),
        "_source": st.one_of(
            st.booleans(), FIELDS, st.lists(FIELDS), keyed({"includes": FIELDS, "excludes": st.lists(FIELDS)})
        ),
        "fields": st.one_of(st.lists(st.one_of(FIELDS, keyed({"field": FIELDS, "format": TEXT}))), JSON),
        "stored_fields": st.one_of(st.just("_none_"), JSON),
        "docvalue_fields": JSON,
        "highlight": JSON,
        "aggs": JSON,
        "rescore": JSON,
        "retriever": st.one_of(st.builds(lambda query: {"standard": {"query": query}}, QUERY), JSON),
        "rank": JSON,
        "knn": JSON,
        "collapse": keyed({"field": FIELDS, "inner_hits": JSON}),
        "search_after": JSON,
        "pit": keyed({"id": TEXT, "keep_alive": TEXT}),
        "post_filter": QUERY,
        "min_score": NUMBERS,
        "explain": JSON,
        "profile": JSON,
        "suggest": JSON,
        "runtime_mappings": JSON,
        "script_fields": JSON,
        "track_total_hits": JSON,
        "track_scores": JSON,
        "slice": JSON,
        "ext": JSON,
        "timeout": TEXT,
    }
)
#: Searches that can be reranked, mostly.
PLAIN = st.builds(
    lambda query, more: {"query": query} | more,
    st.sampled_from(
        [
            {"match": {"title": "shoe"}},
            {"match": {"title": {"query": "shoe", "operator": "and"}}},
            {"multi_match": {"query": "shoe", "fields": ["title^2", "n"]}},
            {
                "bool": {
                    "must": [{"match": {"title": "shoe"}}],
                    "filter": [{"term": {"n": 1}}],
                    "should": {"match": {"title": "red"}},
                }
            },
            {"query_string": {"query": "title:shoe AND red"}},
            {"nested": {"path": "a", "query": {"match": {"a.b": "shoe"}}}},
        ]
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "from": st.integers(0, 5),
            "size": st.integers(1, 12),
            "_source": st.sampled_from([True, False, ["n"], "title", {"excludes": ["title"]}]),
            "fields": st.sampled_from([["title"], [{"field": "n"}]]),
            "highlight": st.just({"fields": {"title": {}}}),
            "explain": st.booleans(),
            "aggs": st.just({"a": {"terms": {"field": "n"}}}),
            "track_scores": st.booleans(),
            "sort": st.just(["_score"]),
        },
    ),
)
TEMPLATE = keyed(
    {"id": TEXT, "source": st.one_of(TEXT, SEARCH, SEARCH.map(json.dumps)), "params": JSON, "explain": JSON}
)


def text_of(value: Any) -> bytes:
    """JSON, also of halves of surrogate pairs, which only escapes can say."""
    return json.dumps(value).encode()


LINE = st.one_of(
    SEARCH.map(text_of),
    keyed({"index": st.one_of(TEXT, st.lists(TEXT, max_size=2)), "search_type": TEXT, "routing": JSON}).map(text_of),
    JSON.map(text_of),
    st.sampled_from([b"", b" ", b"{}", b"null", b"{", b"\xff", b"[]"]),
    st.binary(max_size=10),
)
PAIRS = st.lists(
    st.tuples(st.sampled_from([b"{}", b"", b'{"index":"shop"}', b'{"index":["a","b"]}']), SEARCH.map(text_of)),
    max_size=3,
)
LINES = st.one_of(
    PAIRS.map(lambda pairs: b"".join(b"%s\n%s\n" % pair for pair in pairs)),
    st.builds(
        lambda lines, end, last: end.join(lines) + last,
        st.lists(LINE, max_size=6),
        st.sampled_from([b"\n", b"\r\n", b"\r"]),
        st.sampled_from([b"\n", b""]),
    ),
)


@st.composite
def damaged(draw: Any, texts: Any) -> bytes:
    """Bytes that are mostly left as they are, and sometimes cut, changed or packed."""
    text: bytes = draw(texts)
    place, how = draw(st.integers(0, max(0, len(text)))), draw(st.integers(0, 11))
    if how == 0:
        return text[:place]
    if how == 1:
        return text[:place] + draw(st.binary(min_size=1, max_size=3)) + text[place:]
    if how == 2:
        return text.decode().encode("utf-16") if text.isascii() else text
    return b"\xef\xbb\xbf" + text if how == 3 else gzip.compress(text, 1, mtime=0) if how == 4 else text


def hit(number: int) -> Any:
    """A hit whose parts may be missing or odd."""
    fitting = {"_index": "shop", "_id": f"d{number}", "_score": 30.0 - number, "_source": {"title": f"shoe {number}"}}
    odd = keyed(
        {"_index": TEXT, "_id": JSON, "_score": JSON, "_source": JSON, "fields": JSON, "inner_hits": JSON, "sort": JSON}
    )
    return st.one_of(st.just(fitting), st.just(fitting), odd.map(lambda change: fitting | change), JSON)


HITS = st.integers(0, 25).flatmap(
    lambda count: st.one_of(
        st.just(
            [
                {"_index": "shop", "_id": f"d{n}", "_score": 30.0 - n, "_source": {"title": f"shoe {n}"}}
                for n in range(count)
            ]
        ),
        st.tuples(*map(hit, range(min(count, 4)))).map(list),
    )
)
REPLY = st.one_of(
    st.builds(
        lambda hits, more: (
            {
                "took": 1,
                "timed_out": False,
                "hits": {"total": {"value": 99, "relation": "eq"}, "max_score": 30.0, "hits": hits},
            }
            | more
        ),
        HITS,
        st.one_of(
            st.just({}), keyed({"_shards": JSON, "took": JSON, "aggregations": JSON, "hits": JSON, "_scroll_id": TEXT})
        ),
    ),
    JSON,
)
LETTERS = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/%"
