"""What is known of each request: id, numbers, spans, log records; and what must not be in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rebridge.server.logs import log_config
from rebridge.server.metrics import Metrics
from rebridge.server.observing import Observed


@pytest.fixture
def records() -> Iterator[io.StringIO]:
    """The log as JSON lines."""
    stream = io.StringIO()
    config = log_config("json", "info")
    config["handlers"]["stderr"]["stream"] = stream
    root, rebridge = logging.getLogger(), logging.getLogger("rebridge")
    before = (root.handlers[:], root.level, rebridge.level)
    logging.config.dictConfig(config)
    yield stream
    root.handlers[:], level, own = before
    root.setLevel(level)
    rebridge.setLevel(own)


def make_app() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "logs": False})

    @app.get("/items/{name}")
    async def item(name: str) -> str:
        logging.getLogger("rebridge").info("looked for an item")
        return name

    @app.get("/broken")
    async def broken() -> str:
        raise RuntimeError("red planet")

    return app


def get(app: Observed, path: str, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
            return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(asked())


def observed(metrics: Metrics | None = None) -> Observed:
    return Observed(make_app(), "api", metrics or Metrics())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X_Request_Id": "abc-1"}, "abc-1"),
        ({"X_Opaque_Id": "opaque"}, "opaque"),
        ({"X_Opaque_Id": "opaque", "X_Request_Id": "mine"}, "mine"),
        ({"X_Request_Id": "two words", "X_Opaque_Id": "opaque"}, "opaque"),
    ],
)
def test_a_request_keeps_its_id(headers: dict[str, str], expected: str) -> None:
    """The client's own id comes back; one that could forge a log line does not."""
    assert get(observed(), "/items/1", **headers).headers["x-request-id"] == expected


def test_a_request_without_id_gets_one() -> None:
    """Each request has an id of its own."""
    ids = {get(observed(), "/items/1", X_Request_Id="x" * 129).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) == 32 for one in ids)


def test_the_log_tells_the_request(records: io.StringIO) -> None:
    """Every record is a JSON object with the request's id; the last one tells what came of the request."""
    get(observed(), "/items/1?q=red+planet", X_Request_Id="abc")
    lines = [json.loads(line) for line in records.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ["abc", "abc"]
    last = lines[-1]
    assert (last["face"], last["method"], last["path"], last["status"]) == ("api", "GET", "/items/1", 200)
    assert last["ms"] >= 0
    assert abs(datetime.fromisoformat(last["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_no_query_text_in_the_log(records: io.StringIO) -> None:
    """What is asked for stands in no record, also when the application breaks."""
    get(observed(), "/items/1?q=red+planet")
    get(observed(), "/broken?q=red+planet")
    assert "red" not in records.getvalue()


def test_a_path_cannot_forge_a_line(records: io.StringIO) -> None:
    """A line break in a path is none in the log."""
    get(observed(), "/items/1%0a2026-01-01 forged")
    assert all("\n" not in json.loads(line)["message"] for line in records.getvalue().splitlines())


def test_requests_are_counted() -> None:
    """A request counts under its route's pattern, an unknown path under one label for all."""
    metrics = Metrics()
    app = observed(metrics)
    for path in ("/items/1", "/items/2", "/nowhere/1", "/nowhere/2"):
        get(app, path)
    get(app, "/broken")
    text = metrics.exposition().decode()
    assert 'rebridge_http_requests_total{face="api",route="/items/{name}",status="200"} 2.0' in text
    assert 'rebridge_http_requests_total{face="api",route="other",status="404"} 2.0' in text
    assert 'rebridge_http_requests_total{face="api",route="/broken",status="500"} 1.0' in text
    assert 'rebridge_http_requests_in_flight{face="api"} 0.0' in text
    assert "nowhere" not in text


def test_a_client_that_goes_away_is_counted() -> None:
    """A request that is given up before its answer counts as 499."""

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def given_up() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}
        task = asyncio.create_task(Observed(never, "solr", metrics)(scope, _nothing, _nothing))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    metrics = Metrics()
    asyncio.run(given_up())
    assert 'rebridge_http_requests_total{face="solr",route="other",status="499"} 1.0' in metrics.exposition().decode()


async def _nothing(*_: Any) -> Any:
    raise AssertionError


def test_a_span_joins_the_callers_trace(spans: InMemorySpanExporter) -> None:
    """A request's span hangs under the span that its traceparent names, and holds no query text."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    get(observed(), "/items/1?q=red+planet", traceparent=parent)
    (span,) = spans.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == tuple(parent.split("-")[1:3])
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert "red" not in span.to_json()


def test_a_broken_request_is_an_error_span(spans: InMemorySpanExporter) -> None:
    """A failure marks the span, without its message."""
    get(observed(), "/broken")
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert "red planet" not in span.to_json()
