"""Traces that go on: to engines and to remote scorers, and out of the process where the environment asks for it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rebridge.scorers.remote import RemoteScorer
from rebridge.server.tracing import engine_tracing

_tracer = trace.get_tracer("tests")


async def tell_headers(request: web.Request) -> web.Response:
    """An engine and a model server: answers with what it was sent."""
    if request.path == "/rerank":
        seen.append(dict(request.headers))
        count = len((await request.json())["texts"])
        return web.json_response([{"index": index, "score": 1.0} for index in range(count)])
    return web.json_response(dict(request.headers))


seen: list[dict[str, str]] = []


async def started(path: str) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", path, tell_headers)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_the_engine_joins_the_trace(spans: InMemorySpanExporter) -> None:
    """A request to an engine is a span under the current one, which the engine is told; the address is not in it."""

    async def ask() -> dict[str, str]:
        runner, url = await started("/_search")
        with _tracer.start_as_current_span("outer"):
            async with (
                aiohttp.ClientSession(trace_configs=[engine_tracing()]) as session,
                session.get(f"{url}/_search?q=zebra", headers={"traceparent": "the client's own"}) as answer,
            ):
                headers: dict[str, str] = await answer.json()
        await runner.cleanup()
        return headers

    headers = asyncio.run(ask())
    inner, outer = spans.get_finished_spans()
    assert inner.context is not None
    assert outer.context is not None
    assert parent_of(inner) == outer.context.span_id
    assert headers["traceparent"].split("-")[1:3] == [
        f"{inner.context.trace_id:032x}",
        f"{inner.context.span_id:016x}",
    ]
    assert "zebra" not in inner.to_json()


def test_an_engine_that_is_away(spans: InMemorySpanExporter) -> None:
    """A request that does not come through is an error span, named by its kind alone."""

    async def ask() -> None:
        async with aiohttp.ClientSession(trace_configs=[engine_tracing()]) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get("http://127.0.0.1:9/_search?q=zebra")

    asyncio.run(ask())
    (span,) = spans.get_finished_spans()
    assert span.status.description == "ClientConnectorError"
    assert "zebra" not in span.to_json()


def test_a_remote_scorer_joins_the_trace(spans: InMemorySpanExporter) -> None:
    """A model server is told the span of the search that it scores for."""

    async def ask() -> None:
        runner, url = await started("/rerank")
        with RemoteScorer(url, dialect="tei") as scorer:
            with _tracer.start_as_current_span("outer"):
                future = scorer.submit("zebra", ["a", "b"])
            await asyncio.wrap_future(future)
        await runner.cleanup()

    seen.clear()
    asyncio.run(ask())
    by_name = {span.name: span for span in spans.get_finished_spans()}
    inner, outer = by_name["score"], by_name["outer"]
    assert outer.context is not None
    assert inner.context is not None
    assert parent_of(inner) == outer.context.span_id
    assert seen[0]["traceparent"].split("-")[2] == f"{inner.context.span_id:016x}"
    assert inner.attributes is not None
    assert inner.attributes["rebridge.passages"] == 2
    assert "zebra" not in inner.to_json()


EXPORT = """
import logging
from opentelemetry import trace
from rebridge.server.tracing import set_up
logging.basicConfig()
set_up()
with trace.get_tracer("t").start_as_current_span("one"):
    pass
"""


@pytest.mark.parametrize(
    ("variables", "exported"),
    [
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "shop"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, False),
        ({}, False),
    ],
)
def test_the_environment_decides(variables: dict[str, str], exported: bool) -> None:  # noqa: FBT001 - a parameter
    """Spans leave the process only if the environment asks for it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = (sys.executable, "-c", EXPORT)
    result = subprocess.run(command, env=clean | variables, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    assert bool(result.stdout) is exported
    if exported:
        assert json.loads(result.stdout)["resource"]["attributes"]["service.name"] == "shop"


def test_a_missing_exporter_is_told() -> None:
    """Who asks for traces without the packages for them reads what to install, and is served all the same."""
    command = (sys.executable, "-c", EXPORT)
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "nonesuch"}
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    assert "pip install opentelemetry-sdk" in result.stderr
