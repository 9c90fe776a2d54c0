"""The engines in memory of the connectors' tests, behind HTTP."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.connectors.fake_cluster import Cluster
from tests.connectors.fake_solr import FakeSolr

from .raw_upstream import Got

_COMMON = (
    "X-Elastic-Product: Elasticsearch\r\nwarning: 299 a\r\nwarning: 299 b\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
    'etag: "1"\r\nlast-modified: yesterday\r\nserver-timing: own;dur=1\r\n'
)
JSON = "application/vnd.elasticsearch+json;compatible-with=9"


def reply(status: int, body: bytes, got: Got, kind: str = JSON) -> bytes:
    """A reply with many headers, compressed for those who take it."""
    if got.header(b"accept-encoding") == b"gzip":
        body, encoding = gzip.compress(body), "content-encoding: gzip\r\n"
    else:
        encoding = ""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{encoding}{_COMMON}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def cluster(engine: Cluster) -> Callable[[Got], bytes]:
    """What answers as Elasticsearch."""

    def answer(got: Got) -> bytes:
        method, target, _ = got.line.decode().split(" ")
        body = gzip.decompress(got.body) if got.header(b"content-encoding") == b"gzip" else got.body
        status, text = engine.answer(method, target, body or None, {k.decode(): v.decode() for k, v in got.headers})
        return reply(status, text, got)

    return answer


def solr(engine: FakeSolr) -> Callable[[Got], bytes]:
    """What answers as Solr's core ``shop``."""

    def answer(got: Got) -> bytes:
        method, target, _ = got.line.decode().split(" ")
        path = target.removeprefix("/solr/shop/")
        form = got.body.decode() if b"urlencoded" in (got.header(b"content-type") or b"") else None
        query = urlsplit(path).query
        try:
            text = engine.send(method.lower(), path, f"{query}&{form}" if form else None)
        except PermissionError:
            return reply(401, json.dumps({"error": {"code": 401}}).encode(), got)
        return reply(200, text.encode(), got, "application/json;charset=utf-8")

    return answer
