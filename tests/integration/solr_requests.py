"""Requests of all shapes for Solr, and the documents that they are for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import requests

from rebridge_solr.request import Request

#: What stands before the ids of all documents here. Every request is for these alone.
PREFIX = "shelf_"
_WORDS = ("red shoe", "shoe", "red leather shoe", "old shoe shoe", "shoe for running", "red shoe shoe red")

DOCUMENTS: list[dict[str, Any]] = [
    {
        "id": f"{PREFIX}{number}",
        "title": f"shoe {number}",
        "text": f"{_WORDS[number % len(_WORDS)]} {'leather ' * (number % 4)}",
        "lang_s": "de" if number % 3 else "en",
        "group_s": f"g{number % 5}",
        "price_i": number * 7 % 31,
        **({"note_t": "a note with the word shoe"} if number % 2 else {}),
    }
    for number in range(30)
]
_WITH_CHILD = DOCUMENTS[4] | {"_childDocuments_": [{"id": f"{PREFIX}4_part", "note_t": "a sole"}]}

_DISMAX = {"defType": "edismax", "qf": "title^2 text", "q": "red shoe"}
_LUCENE = {"q": "text:shoe"}

#: Name -> parameters; `json` holds a body. None names a page.
REQUESTS: dict[str, dict[str, Any]] = {
    "lucene": _LUCENE,
    "edismax": _DISMAX,
    "fields": {**_DISMAX, "fl": "price_i"},
    "fields in several parameters": {**_DISMAX, "fl": ["lang_s, title", "price_i"]},
    "all fields and score": {**_DISMAX, "fl": "*,score"},
    "score under another name": {**_DISMAX, "fl": "title,rel:score"},
    "score twice": {**_DISMAX, "fl": "score,rel:score,id"},
    "an alias": {**_DISMAX, "fl": "id,headline:title"},
    "an alias beside all fields": {**_DISMAX, "fl": "*,headline:title"},
    "another field under the name of ours": {**_DISMAX, "fl": "id,title:text"},
    "patterns": {**_DISMAX, "fl": "*_s,ti*"},
    "functions and transformers": {**_DISMAX, "fl": "id,double:sum(price_i, price_i),[docid],fixed:[value v=3 t=int]"},
    "children": {**_DISMAX, "fl": "id,score,[child parentFilter=title:shoe]"},
    "everything echoed": {**_DISMAX, "fl": "id", "echoParams": "all", "start": 0},
    "what was asked echoed": {**_DISMAX, "fl": ["id", "title"], "echoParams": "explicit"},
    "facets": {**_DISMAX, "facet": "true", "facet.field": "lang_s", "facet.query": "price_i:[5 TO *]", "fl": "id"},
    "JSON facets": {**_DISMAX, "json.facet": '{"langs": {"type": "terms", "field": "lang_s"}}', "fl": "id"},
    "statistics": {**_DISMAX, "stats": "true", "stats.field": "price_i", "fl": "id"},
    "highlights": {**_DISMAX, "hl": "true", "hl.fl": "text", "fl": "title"},
    "explanations": {**_DISMAX, "debug": ["query", "results"], "fl": "title"},
    "more like this": {**_DISMAX, "mlt": "true", "mlt.fl": "text", "mlt.mindf": 1, "mlt.mintf": 1, "fl": "title"},
    "collapsed": {**_DISMAX, "fq": "{!collapse field=group_s}", "expand": "true", "expand.rows": 2, "fl": "title"},
    "collapsed with scores": {**_DISMAX, "fq": "{!collapse field=group_s}", "expand": "true", "fl": "id,score"},
    "filtered": {**_DISMAX, "fq": ["lang_s:de", "price_i:[1 TO 30]"]},
    "sorted by score": {**_DISMAX, "sort": "score desc", "fl": "id"},
    "the engine's own second stage": {
        **_DISMAX,
        "rq": "{!rerank reRankQuery=$rr reRankDocs=20 reRankWeight=2}",
        "rr": "text:leather",
        "fl": "id,score",
    },
    "local parameters": {"q": "{!edismax qf=$fields v=$words}", "words": "red shoe", "fields": "title text"},
    "a query in a query": {"q": '+_query_:"{!edismax qf=text}shoe" -text:old', "fl": "id"},
    "an alternative query": {"defType": "dismax", "qf": "text", "q.alt": "text:red", "fl": "id"},
    "a long request": {**_DISMAX, "fl": "id", "unused": "x" * 2000},
    "no cache": {"q": "{!cache=false}text:shoe", "fl": "*"},
    "nothing found": {**_DISMAX, "q": "unheardof", "fl": "id,score"},
    "JSON": {"json": {"query": "text:shoe", "fields": ["title", "score"]}},
    "JSON with parameters": {
        "json": {
            "query": "red shoe",
            "params": {"defType": "edismax", "qf": "text", "fl": "lang_s", "echoParams": "all"},
        }
    },
    "JSON with fields in both": {"fl": "price_i", "json": {"query": "text:shoe", "fields": "id"}, "echoParams": "all"},
    "JSON Query DSL": {
        "json": {
            "query": {"bool": {"must": {"edismax": {"query": "red shoe", "qf": "title text"}}, "should": "text:old"}},
            "filter": "lang_s:de",
            "facet": {"dear": {"type": "query", "q": "price_i:[10 TO *]"}},
        }
    },
    "JSON as a parameter": {"json": '{"query": "text:shoe", "fields": ["id"]}'},
}


def request(name: str, **more: Any) -> Request:
    """A request of this name, for the documents here."""
    params = {**REQUESTS[name], **more}
    body = params.get("json")
    if isinstance(body, dict):
        del params["json"]
    filters = params.get("fq", [])
    params["fq"] = [*(filters if isinstance(filters, list) else [filters]), f"id:{PREFIX}*"]
    return Request(params, body if isinstance(body, dict) else None)


def fill(url: str) -> None:
    """Put the documents into a core or collection."""
    documents = [_WITH_CHILD if document["id"] == _WITH_CHILD["id"] else document for document in DOCUMENTS]
    reply = requests.post(f"{url}/update?commit=true", json=documents, timeout=60)
    assert reply.ok, reply.text


#: Parts of a reply whose entries are named after hits.
KEYED = ("highlighting", "moreLikeThis", "expanded")
#: What differs between any two requests.
_CHATTER = frozenset({"QTime", "rid", "timing", "track", "maxScore"})
_SCORES = frozenset({"score", "rel"})


def comparable(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A reply without what reranking changes, so that it can be compared with another."""
    parts = around(reply)
    parts["hits"], parts["entries"] = hits(reply), entries(reply)
    parts["best"] = "maxScore" in reply["response"]
    return parts


def around(reply: Mapping[str, Any]) -> dict[str, Any]:
    """All of a reply but its hits and what speaks of single hits."""
    parts: dict[str, Any] = _quiet({key: value for key, value in reply.items() if key not in KEYED})
    parts["response"].pop("docs")
    if "debug" in parts:
        parts["debug"].pop("explain")
    return parts


def hits(reply: Mapping[str, Any]) -> Counter[str]:
    """The hits as texts, with a mark where a score stands."""
    return Counter(
        json.dumps({key: "a score" if key in _SCORES else value for key, value in hit.items()}, sort_keys=True)
        for hit in reply["response"]["docs"]
    )


def entries(reply: Mapping[str, Any]) -> dict[str, Any]:
    """What speaks of single hits, by part."""
    # SolrCloud writes some of these as lists in which names and values take turns.
    found = {key: _named(reply[key]) for key in KEYED if key in reply}
    return found | ({"explain": reply["debug"]["explain"]} if "explain" in reply.get("debug", {}) else {})


def _quiet(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _quiet(inner) for key, inner in value.items() if key not in _CHATTER}
    return [_quiet(inner) for inner in value] if isinstance(value, list) else value


def _named(part: Any) -> Any:
    return dict(zip(part[::2], part[1::2], strict=True)) if isinstance(part, list) else part
