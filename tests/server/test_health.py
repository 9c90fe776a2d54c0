"""What an orchestrator is told."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from rebridge.server.health import Health, health_router
from rebridge.server.metrics import Metrics

AT_ITS_END = Health(lambda: True, lambda: False, proxies=False)


def get(path: str, health: Health) -> httpx.Response:
    app = FastAPI()
    app.include_router(health_router(health, Metrics(), list))

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as client:
            return await client.get(path)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("draining", "scorer", "status"), [(False, True, 200), (False, False, 503), (True, True, 503), (True, False, 503)]
)
@pytest.mark.parametrize("proxies", [True, False])
def test_readiness(draining: bool, scorer: bool, proxies: bool, status: int) -> None:  # noqa: FBT001 - parameters
    """The server wants requests when its models are there, and none when it is about to end."""
    answer = get("/readyz", Health(lambda: draining, lambda: scorer, proxies=proxies))
    assert answer.status_code == status
    assert answer.json() == {"ready": status == 200, "draining": draining, "scorer": scorer}


@pytest.mark.parametrize(("proxies", "status"), [(True, 200), (False, 503)])
def test_a_scorer_that_is_lost(proxies: bool, status: int) -> None:  # noqa: FBT001 - a parameter
    """A server that was ready once goes on taking searches without its models, which the engine's order answers."""
    answers = iter([True, False, False])
    health = Health(lambda: False, lambda: next(answers), proxies=proxies)
    assert get("/readyz", health).status_code == 200
    assert [get("/readyz", health).status_code for _ in range(2)] == [status, status]


def test_life() -> None:
    """A server lives as long as it answers, also without models and at its end."""
    assert get("/healthz", AT_ITS_END).status_code == 200


def test_numbers() -> None:
    """Numbers come in the format that Prometheus reads."""
    answer = get("/metrics", AT_ITS_END)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "rebridge_reloads_total 0.0" in answer.text
