"""Whatever clients of Solr send, and whatever it answers, the proxy makes no mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.connectors.fake_solr import FakeSolr

from rebridge.testing import FakeScorer
from rebridge_solr.request import ID, SCORE, passage_key

from .amount import share
from .checking import PHASES, check
from .engine import Place, place
from .mutants import BURST, mutant
from .shapes import COUNT, JSON, LETTERS, TEXT, damaged, keyed, text_of

pytestmark = pytest.mark.slow

LOCAL = st.sampled_from(
    [
        "{!edismax qf=title}shoe",
        "{!knn f=v}[1,2]",
        "{!rerank reRankQuery=$rqq}",
        "{!",
        "{!a b='c",
        "{!v=$q}",
        "{!lucene df=title v=shoe}",
        "{!bool must=$q}",
        "{!parent which=a}b",
        "$q",
        "title:shoe^2 AND (a OR -b)",
        '"red shoe"~2',
        "*:*",
        '_query_:"{!dismax}a"',
        "a\\",
        "(((((",
    ]
)
WORDS = st.one_of(TEXT, LOCAL)
VALUES: dict[str, Any] = {
    "q": WORDS,
    "defType": st.sampled_from(["edismax", "dismax", "lucene", "func", "x"]),
    "qf": TEXT,
    "fq": WORDS,
    "rq": WORDS,
    "fl": st.sampled_from(["*", "id,title", "*,score", "t:title", "[explain]", "", "id,", "{!func}x", "a:b:c"]),
    "sort": st.sampled_from(["score desc", "id asc", "score desc,id asc", "", "x"]),
    "start": COUNT.map(str),
    "rows": COUNT.map(str),
    "wt": st.sampled_from(["json", "xml", "javabin", "python", "JSON"]),
    "json.nl": TEXT,
    "group": st.sampled_from(["true", "false"]),
    "cursorMark": st.sampled_from(["*", "AoE="]),
    "qt": TEXT,
    "collection": TEXT,
    "shards": TEXT,
    "ie": TEXT,
    "omitHeader": TEXT,
    "echoParams": TEXT,
    "json": st.one_of(JSON.map(json.dumps), TEXT),
    "json.query": WORDS,
    "debug": TEXT,
    "expand": TEXT,
    "df": TEXT,
    "indent": TEXT,
}
PARAMETERS = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(lambda name: VALUES[name].map(lambda value: (name, value))), max_size=6
)
BODY = keyed(
    {
        "query": st.one_of(WORDS, JSON),
        "filter": st.one_of(WORDS, JSON),
        "limit": COUNT,
        "offset": COUNT,
        "sort": TEXT,
        "fields": st.one_of(TEXT, JSON),
        "params": st.one_of(st.fixed_dictionaries({}, optional=VALUES), JSON),
        "facet": JSON,
        "queries": JSON,
    }
)
PATH = st.one_of(
    st.sampled_from(
        [
            "/solr/shop/select",
            "/solr/shop/select",
            "/solr/shop/query",
            "/solr/shop/browse/a",
            "/solr/sh%6Fp/select",
            "/solr/admin/cores",
            "/solr/shop/update",
            "/api/collections/shop/select",
            "/solr//select",
            "/solr/shop/select/",
        ]
    ),
    st.text(min_size=1, max_size=8).map(lambda text: f"/solr/{quote(text, safe='', errors='replace')}/select"),
    st.text(LETTERS, max_size=20).map("/".__add__),
)
DOCUMENT = st.one_of(
    st.just({"id": "d1", "title": "shoe 1", "score": 2.0, ID: "d1", SCORE: 2.0}),
    keyed({"id": JSON, "title": JSON, "score": JSON, ID: JSON, SCORE: JSON, passage_key(0): JSON}),
    JSON,
)
ECHO = keyed({"q": WORDS, "qf": TEXT, "rows": TEXT, "fl": TEXT, "defType": TEXT, "df": TEXT, "sort": TEXT})
REPLY = st.one_of(
    st.builds(
        lambda docs, echo, more: (
            {
                "responseHeader": {"status": 0, "QTime": 1, "params": echo},
                "response": {"numFound": 9, "start": 0, "docs": docs},
            }
            | more
        ),
        st.lists(DOCUMENT, max_size=4),
        st.one_of(ECHO, JSON),
        st.one_of(
            st.just({}), keyed({"response": JSON, "grouped": JSON, "expanded": JSON, "uniqueKey": TEXT, "error": JSON})
        ),
    ),
    st.just({"uniqueKey": "id"}),
    JSON,
)


@pytest.fixture(scope="module")
def shop() -> Iterator[Place]:
    with place("solr", FakeScorer(lambda _, text: float(len(text))), about) as made:
        yield made


def about(target: str) -> str | None:
    """What Solr tells of a handler's defaults and of the schema."""
    path = target.removeprefix("/solr/shop/")
    return FakeSolr().send("get", path) if "echoParams=all" in path or "schema/uniquekey" in path else None


def written(parameters: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={quote_plus(value, errors='replace')}" for name, value in parameters)


@st.composite
def requests(draw: Any) -> Any:
    """Method, target, headers, and the body in pieces."""
    query, kind = written(draw(PARAMETERS)), draw(st.sampled_from(["", "form", "json", "text/xml"]))
    target = draw(PATH) + ("?" + query if query else "")
    if not kind:
        return draw(st.sampled_from(["GET", "GET", "HEAD", "POST"])), target, [], [b""]
    form = PARAMETERS.map(written).map(str.encode)
    body = draw(damaged(form if kind == "form" else BODY.map(text_of)))
    name = {"form": "application/x-www-form-urlencoded", "json": "application/json"}.get(kind, kind)
    agent = draw(st.sampled_from([b"curl/8", b"python"]))
    return "POST", target, [(b"content-type", name.encode()), (b"user-agent", agent)], [body]


@st.composite
def plain_requests(draw: Any) -> Any:
    """Searches that can be reranked, mostly."""
    query = draw(st.sampled_from(["shoe", "shoe red", "title:shoe", "{!edismax qf=title}shoe"]))
    more = draw(
        st.sampled_from(
            [
                [],
                [("rows", "5")],
                [("fl", "id,title")],
                [("fl", "t:title,score"), ("start", "2")],
                [("fq", "n:1"), ("defType", "edismax")],
            ]
        )
    )
    if draw(st.booleans()):
        return "GET", f"/solr/shop/select?{written([('q', query), *more])}", [], [b""]
    return (
        "POST",
        "/solr/shop/select",
        [(b"content-type", b"application/json")],
        [text_of({"query": query, "limit": 5, "params": dict(more)})],
    )


def plain_reply() -> bytes:
    """What Solr answers to them: what a request asks for comes under names of ours, and more."""
    docs = [
        {"id": f"d{n}", "title": f"shoe {n}", ID: f"d{n}", SCORE: 9.0 - n, passage_key(0): f"shoe {n}"}
        for n in range(20)
    ]
    found = {"numFound": 30, "start": 0, "maxScore": 9.0, "docs": docs}
    return text_of({"responseHeader": {"status": 0, "QTime": 1, "params": {}}, "response": found})


@settings(max_examples=share(0.2 / BURST), suppress_health_check=list(HealthCheck), phases=PHASES)
@given(
    request=plain_requests() | requests(),
    reply=st.just(plain_reply()) | damaged(REPLY.map(text_of)),
    random=st.randoms(use_true_random=False),
)
def test_the_answer_is_solrs_or_a_reranked_one(shop: Place, request: Any, reply: bytes, random: Random) -> None:
    """No failure of ours, no hang; what is not reranked is Solr's own reply, to the byte."""
    status = random.choice((200, 200, 200, 200, 200, 200, 400, 401, 503))
    method, target, headers, chunks = request
    check(shop, request, (status, "application/json", reply, reply.startswith(b"\x1f\x8b")))
    for _ in range(BURST - 1):
        path, _, query = target.partition("?")
        changed = quote(mutant(random, query.encode()), safe=LETTERS) if random.random() < 0.5 else query
        sent = chunks if random.random() < 0.5 else [mutant(random, b"".join(chunks))]
        came = reply if reply.startswith(b"\x1f\x8b") or random.random() < 0.3 else mutant(random, reply)
        asked = (method, f"{path}?{changed}" if changed else path, headers, sent)
        check(shop, asked, (status, "application/json", came, came.startswith(b"\x1f\x8b")))
