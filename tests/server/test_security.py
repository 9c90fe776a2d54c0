"""API keys and the limit of bodies, as clients meet them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request
from pydantic import SecretStr
from starlette.types import ASGIApp

from rebridge.server.security import ApiKeys, BodyLimit

KEYS = (SecretStr("first-key"), SecretStr("second-key"))


def make_app() -> FastAPI:
    app = FastAPI()

    @app.post("/echo")
    async def echo(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return body

    @app.post("/length")
    async def length(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.get("/healthz")
    @app.get("/metrics")
    async def page() -> str:
        return "here"

    return app


def ask(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as client:
            return await client.request(method, path, **options)

    return asyncio.run(asked())


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-key"},
        {"authorization": "bearer second-key"},
        {"X-API-Key": "second-key"},
        {"Authorization": "Basic abc", "X-API-Key": "first-key"},
    ],
)
def test_a_key_opens(headers: dict[str, str]) -> None:
    """Any of the keys is taken, in either header."""
    assert ask(ApiKeys(make_app(), KEYS), "GET", "/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer first"},
        {"Authorization": "Bearer first-key2"},
        {"Authorization": "first-key"},
        {"Authorization": "Basic first-key"},
        {"Authorization": "Bearer"},
        {"X-API-Key": ""},
        {"Cookie": "first-key"},
    ],
)
def test_nothing_else_does(headers: dict[str, str]) -> None:
    """Without a whole key the answer is 401, says what is wanted, and holds no key."""
    answer = ask(ApiKeys(make_app(), KEYS), "GET", "/metrics", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["reason"] == "unauthorized"
    assert "first-key" not in answer.text


def test_probes_need_no_key() -> None:
    """An orchestrator asks for health without a key, and no odd path gets past the guard by looking like that."""
    app = ApiKeys(make_app(), KEYS)
    assert ask(app, "GET", "/healthz").status_code == 200
    assert {ask(app, "GET", path).status_code for path in ("/healthz/x", "/static/%2e%2e/metrics", "//metrics")} <= {
        401,
        404,
    }


def test_without_keys_all_is_open() -> None:
    """No keys in the settings: no key is asked for."""
    assert ask(ApiKeys(make_app(), ()), "GET", "/metrics").status_code == 200


def test_small_bodies_pass() -> None:
    """A body up to the limit reaches the application whole, announced or in pieces."""
    app = BodyLimit(make_app(), 1000)
    assert ask(app, "POST", "/length", content=b"x" * 1000).json() == 1000
    assert ask(app, "POST", "/length", content=pieces(10, 100)).json() == 1000


@pytest.mark.parametrize("path", ["/length", "/echo"])
@pytest.mark.parametrize("announced", [True, False])
def test_large_bodies_are_refused(path: str, announced: bool) -> None:  # noqa: FBT001 - a parameter
    """A body above the limit gets 413 that names the limit, whether it says its length or comes in pieces."""
    app = BodyLimit(make_app(), 2**20)
    answer = ask(app, "POST", path, content=b"x" * 2**21 if announced else pieces(32, 2**16))
    assert answer.status_code == 413
    assert "1 MiB (limits.body_mb)" in answer.text


def test_a_body_without_end_is_not_read() -> None:
    """Of a body that never ends no more is read than the limit."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100

    assert ask(BodyLimit(make_app(), 1000), "POST", "/length", content=endless()).status_code == 413
    assert taken <= 12
