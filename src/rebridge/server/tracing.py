"""Spans of OpenTelemetry: one per request, one per call of an engine, one per scoring.

Without the SDK they cost next to nothing. With it (``pip install opentelemetry-sdk opentelemetry-exporter-otlp``) they
are exported as the ``OTEL_...`` variables say: https://opentelemetry.io/docs/languages/sdk-configuration/.
Contexts come in and go out as W3C ``traceparent`` headers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

if TYPE_CHECKING:
    import aiohttp

#: Any of these says that somebody wants the traces.
_WANTED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")

_log = logging.getLogger("rebridge")
_tracer = trace.get_tracer("rebridge")


def set_up() -> None:
    """Export spans if the environment asks for it; says so if the packages for it are missing.

    The exporter is that which ``OTEL_TRACES_EXPORTER`` names, ``otlp`` if it names none.
    """
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
    if disabled or not any(os.environ.get(name) for name in _WANTED):
        return
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=exporter)), None)
    if found is None:
        _log.warning(
            "no traces: there is no exporter %r: pip install opentelemetry-sdk opentelemetry-exporter-otlp", exporter
        )
        return
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "rebridge")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(found.load()()))
    trace.set_tracer_provider(provider)


@contextmanager
def server_span(name: str, headers: Iterable[tuple[bytes, bytes]], attributes: dict[str, Any]) -> Iterator[Span]:
    """The span of a request, under the caller's if its headers name one."""
    carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
    context = propagate.extract(carrier)
    # An error's message may hold a query or a document: the status says enough.
    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def engine_tracing() -> aiohttp.TraceConfig:
    """What makes a span of every request of an aiohttp session, and names it to the engine in ``traceparent``."""
    import aiohttp

    async def begin(_: Any, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        attributes = {"http.request.method": params.method, "server.address": params.url.host or ""}
        context.span = _tracer.start_span("engine", kind=SpanKind.CLIENT, attributes=attributes)
        if context.span.get_span_context().is_valid:
            propagate.inject(params.headers, trace.set_span_in_context(context.span))

    async def end(_: Any, context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        context.span.set_attribute("http.response.status_code", params.response.status)
        context.span.end()

    async def fail(_: Any, context: Any, params: aiohttp.TraceRequestExceptionParams) -> None:
        # Not the message, which may hold the address with the query in it.
        context.span.set_status(StatusCode.ERROR, type(params.exception).__name__)
        context.span.end()

    config = aiohttp.TraceConfig()
    config.on_request_start.append(begin)
    config.on_request_end.append(end)
    config.on_request_exception.append(fail)
    return config
