"""Whatever comes over HTTP, the connectors' stories come to an end without a mistake of ours."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from rebridge import PipelineConfig
from rebridge.bridge import Bridge
from rebridge.connector import load
from rebridge.drivers import run
from rebridge.http import ERROR, Exchange, Forward, HttpReply, HttpRequest
from rebridge.overrides import NONE
from rebridge.testing import FakeScorer

CONFIG = PipelineConfig(rank_window=20, rerank_also=frozenset({"tie_breaker", "term_query", "filter_text"}))
TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)
WORDS = st.one_of(
    st.sampled_from(["shoe", "*:*", "{!edismax qf=a v=$b}red", "_score", "id,score", "-1", "5", "json", ""]), TEXT
)
DSL = st.sampled_from([
    "query", "match", "title", "bool", "must", "should", "filter", "size", "from", "sort", "_source", "fields", "knn",
    "k", "retriever", "standard", "rescorer", "rescore", "collapse", "ext", "rerank", "query_context", "query_text",
    "query_text_path", "multi_match", "aggs", "highlight", "stored_fields", "params", "limit", "offset", "source",
    "id", "edismax", "lucene", "index", "template_output", "hits", "total", "max_score", "_id", "_score", "responses",
    "error", "response", "docs", "numFound", "responseHeader", "status", "uniqueKey", "echoParams", "fl", "q", "rows",
    "start",
])  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 40), st.floats(), WORDS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(DSL, inner, max_size=4)),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(JSON, max_size=4).map(lambda lines: b"".join(json.dumps(line).encode() + b"\n" for line in lines)),
    st.lists(st.tuples(DSL, WORDS), max_size=4).map(
        lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "replace")
    ),
)
QUERIES = st.lists(st.tuples(st.one_of(DSL, WORDS), WORDS), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).replace("#", "")
)
HEADERS = st.lists(
    st.sampled_from([
        ("content-type", "application/json"), ("content-type", "application/x-ndjson"), ("content-encoding", "gzip"),
        ("content-type", "application/x-www-form-urlencoded"), ("accept", "application/yaml"), ("user-agent", "curl/8"),
        ("accept-encoding", "gzip, br"), ("content-type", "; charset=\xff"), ("content-encoding", "deflate"),
    ]),
    max_size=3,
).map(tuple)  # fmt: skip
PATHS = {
    "elasticsearch": ["/_search", "/a,b/_search", "/%zz/_search/template", "/_msearch", "/a/_msearch/"],
    "solr": ["/solr/a/select", "/solr/%FF/query/", "/solr/a/my/handler", "/solr/a/get-it"],
}
STATUSES = st.sampled_from([200, 200, 400, 401, 404, 500, 503])
JUNK = st.builds(HttpReply, STATUSES, HEADERS, st.one_of(BODIES, st.just(b"{}")))
OBJECTS = st.dictionaries(DSL, JSON, max_size=3)
SCORES = st.one_of(st.floats(0, 9), st.integers(0, 9), SCALARS)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def requests(draw: Any, engine: str) -> HttpRequest:
    """A request: mostly one that can be reranked, with odd things in it; else just anything."""
    path, method = draw(st.sampled_from(PATHS[engine])), draw(st.sampled_from(["GET", "POST"]))
    if draw(st.integers(0, 3)) == 0:
        return HttpRequest(method, path, draw(QUERIES), draw(HEADERS), draw(BODIES), 1000)
    odd = draw(OBJECTS)
    if engine == "solr":
        ways = [("q=shoe", b""), ("", as_json({**odd, "query": "shoe"}))]
        query, body = draw(st.sampled_from(ways))
        query += f"&{draw(QUERIES)}"
        return HttpRequest("POST" if body else method, path, query, (("content-type", "application/json"),), body)
    search = {**odd, "query": {"match": {"title": "shoe"}}}
    template = path.endswith("template")
    body = as_json({"source": search, "params": odd} if template else search) + b"\n"
    if "_msearch" in path:
        body = b"".join(as_json(line) + b"\n" for line in ({}, search, odd, search))
    return HttpRequest(method, path, draw(QUERIES), (("content-type", "application/json"),), body)


@st.composite
def replies_to(draw: Any, asked: HttpRequest) -> HttpReply:
    """A reply: mostly a sound one, with odd things in it; else just anything."""
    if draw(st.integers(0, 4)) == 0:
        return draw(JUNK)
    count, odd = draw(st.integers(0, 4)), draw(OBJECTS)
    if asked.path.startswith("/solr"):
        docs = [{**odd, "id": str(n), "_rebridge_id_": str(n), "_rebridge_score_": draw(SCORES)} for n in range(count)]
        found = {"numFound": count, "start": 0, "docs": docs, "maxScore": 1.0}
        about = {"echoParams": "all", "df": "title"}
        header = {"status": 0, "params": about if "echoParams=all" in asked.query else odd}
        return HttpReply(200, (), as_json({**odd, "responseHeader": header, "response": found, "uniqueKey": "id"}))
    hits = [{"_id": str(n), "_score": draw(SCORES), "_source": {"title": "t", **odd}} for n in range(count)]
    reply = {**odd, "hits": {"total": {"value": count}, "max_score": 1.0, "hits": hits}}
    if asked.path == "/_render/template":
        reply = {"template_output": {"query": {"match": {"title": "shoe"}}, **odd}}
    if "_msearch" in asked.path:
        reply = {"responses": [reply] * ((asked.body.count(b"\n")) // 2)}
    return HttpReply(200, (), as_json(reply))


@settings(max_examples=150)
@given(st.data())
def test_any_request_and_any_reply(data: Any) -> None:
    """It ends in an engine's reply, in one made of it, or in a request to hand on; and errors are the engine's own."""
    engine = data.draw(st.sampled_from(["elasticsearch", "solr"]))
    request = data.draw(requests(engine))
    replies: list[HttpReply] = []

    def engine_answers(asked: Any) -> Any:
        assert isinstance(asked, HttpRequest)
        assert asked.path.startswith("/")
        replies.append(data.draw(replies_to(asked)))
        return replies[-1]

    connector: Any = load(engine)
    bridge = Bridge(connector, CONFIG, scorer=FakeScorer(default=1.0))
    assert connector.is_search(request.method, request.path)
    done = run(connector.exchange(request, bridge, NONE), engine_answers)
    assert isinstance(done, Exchange | Forward)
    for found in done.searches:
        event(f"{engine} {found.summary.status} {found.summary.reason}")
    if isinstance(done, Exchange):
        assert done.searches
        assert done.reply.status in {reply.status for reply in replies}
        assert done.reply.status < ERROR or done.reply in replies
