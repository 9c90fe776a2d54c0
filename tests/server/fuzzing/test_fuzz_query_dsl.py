"""Whatever clients of Elasticsearch and OpenSearch send, and whatever these answer, the proxy makes no mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rebridge.testing import FakeScorer

from .amount import share
from .checking import PHASES, check
from .engine import Place, place
from .mutants import BURST, mutant
from .shapes import (
    COUNT,
    FIELDS,
    HITS,
    JSON,
    LETTERS,
    LINES,
    PLAIN,
    QUERY,
    REPLY,
    SEARCH,
    TEMPLATE,
    TEXT,
    damaged,
    text_of,
)

pytestmark = pytest.mark.slow

KIND = st.sampled_from(
    [
        "application/json",
        "application/json",
        "application/vnd.elasticsearch+json; compatible-with=9",
        "application/x-ndjson",
        "application/yaml",
        "text/plain",
        "application/json; charset=utf-16",
        "",
    ]
)


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def shop(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(request.param, FakeScorer(lambda _, text: float(len(text)))) as made:
        yield made


def parameters(**known: Any) -> Any:
    """A query string."""
    named = st.fixed_dictionaries({}, optional=known)
    return st.one_of(
        st.just(""),
        named.map(
            lambda chosen: urlencode(
                {k: json.dumps(v) if not isinstance(v, str) else v for k, v in chosen.items()}, errors="replace"
            )
        ),
        st.text(LETTERS, max_size=20),
    )


PARAMETERS = parameters(
    q=TEXT,
    size=COUNT,
    sort=TEXT,
    _source=TEXT,
    filter_path=TEXT,
    typed_keys=TEXT,
    rest_total_hits_as_int=TEXT,
    scroll=TEXT,
    search_type=TEXT,
    stored_fields=FIELDS,
    source=SEARCH,
    source_content_type=KIND,
    routing=TEXT,
)
INDEX = st.one_of(
    st.sampled_from(["/shop", "", "/a,b", "/shop*", "/_all", "/%73hop", "/-shop", "/%3Cshop-%7Bnow%2Fd%7D%3E"]),
    st.text(min_size=1, max_size=8).map(lambda text: "/" + quote(text, safe="", errors="replace")),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([b"x-rerank", b"x-rerank-window", b"x-rerank-model", b"x-rerank-deadline-ms"]),
            st.one_of(
                st.sampled_from([b"off", b"5", b"0", b"-1", b"fake", b"2000", b"\xfc"]),
                st.text(LETTERS, max_size=6).map(str.encode),
            ),
        ),
        st.sampled_from(
            [
                (b"content-encoding", b"gzip"),
                (b"accept-encoding", b"gzip;q=0.5, *"),
                (b"accept", b"application/yaml"),
                (b"accept", b"*/*"),
                (b"connection", b"x, accept"),
                (b"range", b"bytes=0-1"),
            ]
        ),
    ),
    max_size=3,
)


@st.composite
def requests(draw: Any) -> tuple[str, str, list[tuple[bytes, bytes]], list[bytes]]:
    """Method, target, headers, and the body in pieces."""
    what = draw(
        st.sampled_from(
            ["_search", "_search", "_search", "_msearch", "_search/template", "_search/", "_msearch/template", "other"]
        )
    )
    path = draw(INDEX) + "/" + what if what != "other" else "/" + draw(st.text(LETTERS, max_size=20))
    texts = (
        LINES
        if "_msearch" in what
        else TEMPLATE.map(text_of)
        if "template" in what
        else st.one_of(
            SEARCH.map(text_of),
            st.builds(lambda query: text_of({"query": query}), QUERY),
            JSON.map(text_of),
            st.binary(max_size=30),
        )
    )
    body = draw(damaged(texts))
    headers = draw(HEADERS)
    if body.startswith(b"\x1f\x8b"):
        headers = [*headers, (b"content-encoding", b"gzip")]
    cut = draw(st.integers(0, len(body)))
    kind = draw(KIND)
    if kind:
        headers = [*headers, (b"content-type", kind.encode())]
    query = draw(PARAMETERS)
    method = draw(st.sampled_from(["POST", "POST", "GET", "HEAD", "PUT", "DELETE"]))
    return method, path + ("?" + query if query else ""), headers, [body[:cut], body[cut:]]


@st.composite
def plain_requests(draw: Any) -> tuple[str, str, list[tuple[bytes, bytes]], list[bytes]]:
    """Searches, multi-searches and templates that can be reranked, mostly."""
    what, searches = (
        draw(st.sampled_from(["_search", "_search", "_msearch", "_search/template"])),
        draw(st.lists(PLAIN, min_size=1, max_size=3)),
    )
    bodies = {
        "_search": text_of(searches[0]),
        "_search/template": text_of({"source": searches[0], "params": {"q": "shoe"}}),
        "_msearch": b"".join(b'{"index":"shop"}\n%s\n' % text_of(search) for search in searches),
    }
    target = f"/shop/{what}" + draw(
        st.sampled_from(["", "", "?size=5", "?typed_keys", "?filter_path=hits.hits._id,took", "?_source=n"])
    )
    return (
        "POST",
        target,
        [(b"content-type", b"application/json"), *draw(st.one_of(st.just([]), HEADERS))],
        [bodies[what]],
    )


@st.composite
def plain_replies(draw: Any) -> tuple[int, str, bytes, bool]:
    """Replies to them, or to one of each."""
    hits = {
        "took": 1,
        "timed_out": False,
        "hits": {"total": {"value": 30, "relation": "eq"}, "max_score": 30.0, "hits": draw(HITS)},
    }
    rendered = {"template_output": draw(PLAIN)}
    count = draw(st.integers(1, 3))
    return 200, "application/json", text_of({**hits, **rendered, "responses": [hits | {"status": 200}] * count}), False


@st.composite
def replies(draw: Any) -> tuple[int, str, bytes, bool]:
    """Status, type and body of the engine's reply, and whether that is packed."""
    kind = draw(st.sampled_from(["application/json", "application/json", "text/html", "application/yaml"]))
    one = REPLY.map(text_of)
    many = st.lists(REPLY, max_size=4).map(lambda items: text_of({"took": 1, "responses": items}))
    rendered = SEARCH.map(lambda body: text_of({"template_output": body}))
    body = draw(damaged(st.one_of(one, one, one, many, rendered, st.binary(max_size=20))))
    return (
        draw(st.sampled_from([200, 200, 200, 200, 400, 404, 429, 500, 503])),
        kind,
        body,
        body.startswith(b"\x1f\x8b"),
    )


@settings(max_examples=share(0.2 / BURST), suppress_health_check=list(HealthCheck), phases=PHASES)
@given(
    request=plain_requests() | requests(), reply=plain_replies() | replies(), random=st.randoms(use_true_random=False)
)
def test_the_answer_is_the_engines_or_a_reranked_one(shop: Place, request: Any, reply: Any, random: Random) -> None:
    """No failure of ours, no hang; what is not reranked is the engine's own reply, to the byte."""
    check(shop, request, reply)
    for _ in range(BURST - 1):
        method, target, headers, chunks = request
        status, kind, body, packed = reply
        sent = chunks if random.random() < 0.5 else [mutant(random, b"".join(chunks))]
        came = body if packed or random.random() < 0.3 else mutant(random, body)
        check(shop, (method, target, headers, sent), (status, kind, came, packed))
