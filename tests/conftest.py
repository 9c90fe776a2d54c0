"""Fixtures shared by all tests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rebridge.drivers import run, run_async
from rebridge.flow import Flow, Outcome
from rebridge.scorers.base import Scorer

# Test machines are slow and noisy: how long an example takes says nothing about our code.
settings.register_profile("rebridge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rebridge")

# Programs that a shell starts in the background ignore Ctrl-C, and so would those that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

Drive = Callable[[Flow[Any], Callable[[Any], Any], Scorer], Outcome[Any]]


def _drive_async(flow: Flow[Any], send: Callable[[Any], Any], scorer: Scorer) -> Outcome[Any]:
    async def fetch(request: Any) -> Any:
        await asyncio.sleep(0)
        return send(request)

    return asyncio.run(run_async(flow, fetch, scorer))


@pytest.fixture(params=[run, _drive_async], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Both drivers: whatever a search does, it does under each."""
    driver: Drive = request.param
    return driver
