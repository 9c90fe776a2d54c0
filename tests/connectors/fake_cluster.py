"""Elasticsearch and OpenSearch without a server: real clients over a transport that answers from memory."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

DOCUMENTS = {f"d{number}": {"title": f"shoe {number}", "n": number} for number in range(1, 31)}
HEADERS = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}


class Cluster:
    """Every document matches every query that holds text, d1 best.

    Attributes:
        calls: (method, path, URL parameters, decoded body) of every request so far.
        sent: the same with the bodies as they were sent.
        headers: the headers of every request so far.
        timeouts: the time limits of every request so far.
        limit: the largest from + size that is answered.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.sent: list[tuple[str, str, bytes | None]] = []
        self.headers: list[dict[str, str]] = []
        self.timeouts: list[float | None] = []
        self.limit = limit

    def answer(self, method: str, target: str, body: bytes | None, headers: Any) -> tuple[int, bytes]:
        """The status and body of a reply."""
        parts = urlsplit(target)
        params = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.sent.append((method, target, body))
        multi = parts.path.endswith("/_msearch")
        try:
            text = (body or b"").decode("utf-8", "surrogatepass").removesuffix("\n")
            lines = [json.loads(line or "{}") for line in text.split("\n")] if text else []
        except ValueError:
            return 200, b'{"responses":[]}'
        decoded = lines if multi else lines[0] if lines else None
        self.calls.append((method, parts.path, params, decoded))
        self.headers.append({str(key).lower(): value for key, value in dict(headers or {}).items()})
        if multi:
            items = [self._search(search, {}) for search in lines[1::2]]
            reply = {"took": 1, "responses": [{**item, "status": status} for status, item in items]}
            return 200, json.dumps(reply).encode()
        if parts.path.endswith("/_render/template"):
            return 200, json.dumps({"template_output": _filled(decoded)}).encode()
        if parts.path.endswith("/_search/template"):
            decoded = _filled(decoded)
        elif not parts.path.endswith("/_search"):
            return 200, b'{"acknowledged":true}'
        status, reply = self._search(decoded or {}, params)
        return status, json.dumps(reply).encode()

    def _search(self, body: dict[str, Any], params: dict[str, str]) -> tuple[int, dict[str, Any]]:
        offset, size = (int(params.get(key, body.get(key, default))) for key, default in (("from", 0), ("size", 10)))
        if offset + size > self.limit:
            problem = {"type": "illegal_argument_exception", "reason": f"[{offset + size}] is over {self.limit}"}
            return 400, {"error": {"root_cause": [problem], **problem}, "status": 400}
        page = list(enumerate(DOCUMENTS.items()))[offset : offset + size]
        hits = [{"_index": "shop", "_id": key, "_score": 30.0 - at, "_source": fields} for at, (key, fields) in page]
        total = {"value": len(DOCUMENTS), "relation": "eq"}
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        reply = {"took": 1, "timed_out": False, "_shards": shards}
        return 200, {**reply, "hits": {"total": total, "max_score": 30.0, "hits": hits}, "aggregations": {"a": {}}}


def _filled(template: dict[str, Any]) -> Any:
    text = json.dumps(template["source"])
    for name, value in template.get("params", {}).items():
        text = text.replace(f"{{{{{name}}}}}", str(value))
    return json.loads(text)


def elasticsearch(cluster: Cluster, *, awaited: bool, base: type[Any] | None = None) -> Any:
    """A client of elasticsearch-py."""
    import elasticsearch as module
    from elastic_transport import BaseAsyncNode, BaseNode, HttpHeaders
    from elastic_transport._models import ApiResponseMeta
    from elastic_transport._node._base import NodeApiResponse

    def respond(node: Any, method: str, target: str, body: Any, headers: Any) -> NodeApiResponse:
        status, content = cluster.answer(method, target, body, {**node.headers, **(headers or {})})
        return NodeApiResponse(ApiResponseMeta(status, "1.1", HttpHeaders(HEADERS), 0.0, node.config), content)

    class Node(BaseNode):
        _CLIENT_META_HTTP_CLIENT = ("xx", "1")

        def perform_request(self, method: str, target: str, body: Any = None, headers: Any = None, **k: Any) -> Any:
            cluster.timeouts.append(k.get("request_timeout"))
            return respond(self, method, target, body, headers)

        def close(self) -> None:
            pass

    class AsyncNode(BaseAsyncNode):
        _CLIENT_META_HTTP_CLIENT = ("xx", "1")

        async def perform_request(  # type: ignore[override]
            self, method: str, target: str, body: Any = None, headers: Any = None, **k: Any
        ) -> Any:
            cluster.timeouts.append(k.get("request_timeout"))
            return respond(self, method, target, body, headers)

        async def close(self) -> None:  # type: ignore[override]
            pass

    kind = base or (module.AsyncElasticsearch if awaited else module.Elasticsearch)
    return kind("http://localhost:9200", node_class=AsyncNode if awaited else Node)


def opensearch(cluster: Cluster, *, awaited: bool, base: type[Any] | None = None) -> Any:
    """A client of opensearch-py."""
    import opensearchpy
    from opensearchpy.connection import Connection

    def respond(connection: Any, call: tuple[str, str, Any, Any], options: dict[str, Any]) -> Any:
        method, url, params, body = call
        target = f"{url}?{urlencode(params)}" if params else url
        cluster.timeouts.append(options.get("timeout"))
        status, content = cluster.answer(method, target, body, options.get("headers"))
        if status >= 400 and status not in options.get("ignore", ()):
            connection._raise_error(status, content.decode(), "application/json")
        return status, HEADERS, content.decode()

    class Sync(Connection):
        def perform_request(
            self, method: Any, url: Any, params: Any = None, body: Any = None, *a: Any, **k: Any
        ) -> Any:
            return respond(self, (method, url, params, body), k)

        def close(self) -> None:
            pass

    class Async(Connection):
        async def perform_request(
            self, method: Any, url: Any, params: Any = None, body: Any = None, *a: Any, **k: Any
        ) -> Any:
            return respond(self, (method, url, params, body), k)

        async def close(self) -> None:
            pass

    kind = base or (opensearchpy.AsyncOpenSearch if awaited else opensearchpy.OpenSearch)
    return kind("http://localhost:9200", connection_class=Async if awaited else Sync)
