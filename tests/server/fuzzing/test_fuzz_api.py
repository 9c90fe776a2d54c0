"""Whatever a client sends to the rerank API, the answer is one that the API's description names."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks
from tests.server.reranking import application

from rebridge.scorers import FakeScorer
from rebridge.server.rerank import Limits

from .amount import MADE, share

pytestmark = pytest.mark.slow

ROUTES = 10
LIMITS = Limits(body_bytes=100_000, documents=50, query_characters=1000)
#: A deadline that is shorter may well pass.
LONG_MS = 1000


def no_failure_of_ours(_: CheckContext, response: Response, case: schemathesis.Case) -> None:
    """No status from 500 on, unless the client's deadline has passed."""
    short = case.headers.get("X-Rerank-Deadline-Ms") or (
        case.body.get("deadline_ms") if isinstance(case.body, dict) else None
    )
    late = response.status_code == 504 and short is not None
    assert response.status_code < 500 or late, (response.status_code, response.content[:500])


CHECKS: list[Any] = [
    no_failure_of_ours,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


def served() -> FastAPI:
    """The API over a model that gives the length of texts."""
    return application(FakeScorer(lambda _, text: float(len(text)), activation="sigmoid"), LIMITS)


schema = schemathesis.openapi.from_asgi("/openapi.json", served())


@schema.parametrize()
@settings(max_examples=share(0.05 / ROUTES), suppress_health_check=list(HealthCheck), derandomize=False)
def test_answers_are_as_described(case: schemathesis.Case) -> None:
    """Right and wrong requests get a described status, in the described form, and never a failure of the server."""
    MADE["description"] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd texts in headers, in the libraries of the client
        case.call_and_validate(checks=CHECKS, timeout=20)


def test_all_routes_are_described() -> None:
    """The shares of the requests add up to what was asked for."""
    assert sum(1 for _ in schema.get_all_operations()) == ROUTES
