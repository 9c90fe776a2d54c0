"""Spans of OpenTelemetry around requests that we send. Without its SDK they cost next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

_tracer = trace.get_tracer("rebridge")


@contextmanager
def client_span(name: str, attributes: Mapping[str, str | int]) -> Iterator[dict[str, str]]:
    """The span of a request to another server, under the current one.

    A failure is marked with its kind alone: its message may hold a query, a document or a secret.

    Args:
        name: of the span.
        attributes: of the span.

    Yields:
        Headers that name the span to the other server, as https://www.w3.org/TR/trace-context/ has it.
    """
    headers: dict[str, str] = {}
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        propagate.inject(headers)
        try:
            yield headers
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
