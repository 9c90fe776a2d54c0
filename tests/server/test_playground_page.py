"""Who gets the playground's page, and what its parts are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

import rebridge.server.playground as package
from rebridge.server.settings import ServerSettings
from rebridge.testing import MemoryEngine

from .playing import BOOTS, playground, shelf


def client(app: ASGIApp, host: str = "http://127.0.0.1") -> TestClient:
    return TestClient(app, base_url=host)


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, True),
        ({"listen": "0.0.0.0:8080"}, False),
        ({"listen": "0.0.0.0:8080", "api_keys": ["k"]}, True),
        ({"listen": "0.0.0.0:8080", "playground": True}, True),
        ({"playground": False}, False),
    ],
)
def test_where_it_is_served(settings: dict[str, Any], served: bool) -> None:  # noqa: FBT001 - a parameter
    """Others than this machine get the playground only with keys, or if the settings say so."""
    assert ServerSettings.model_validate(settings).has_playground is served


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8080", 200), ("localhost", 200), ("[::1]:8080", 200), ("evil.example", 403), ("localhost.evil", 403)],
)
def test_names_of_others(host: str, status: int) -> None:
    """Without keys, a name that someone else has given this machine opens nothing."""
    app = playground(shelf({"shop": MemoryEngine(BOOTS)}))
    assert client(app, f"http://{host}").get("/playground/pipelines").status_code == status


def test_keys() -> None:
    """With keys, the page is open and everything that it shows is not."""
    app = playground(shelf({"shop": MemoryEngine(BOOTS)}), keys=["k3y"])
    asked = client(app, "http://bridge.example")
    assert asked.get("/").status_code == 200
    assert asked.get("/playground/static/app.js").status_code == 200
    assert asked.get("/playground/pipelines").status_code == 401
    assert asked.post("/playground/search", json={"pipeline": "shop", "query": "boots"}).status_code == 401
    assert asked.get("/playground/pipelines", headers={"X-API-Key": "k3y"}).status_code == 200


def test_the_page_is_closed_to_the_outside() -> None:
    """The page and its parts come with a policy that lets nothing in from elsewhere and no script into the page."""
    asked = client(playground(shelf({})))
    page = asked.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
    assert "unsafe" not in policy
    parts = [part.partition('"')[0] for part in page.text.split('="/playground/static/')[1:]]
    kinds = {name: asked.get(f"/playground/static/{name}").headers["content-type"] for name in parts}
    assert kinds == {
        "style.css": "text/css; charset=utf-8",
        "theme.js": "text/javascript; charset=utf-8",
        "app.js": "text/javascript; charset=utf-8",
    }
    for path in ("/playground/static/../routes.py", "/playground/static/", "/playground/static/index.html"):
        assert asked.get(path).status_code == 404


def test_scripts_never_write_markup() -> None:
    """No script of the page makes elements out of text."""
    files = list((Path(package.__file__).parent / "static").glob("*.js"))
    assert len(files) > 5
    for file in files:
        text = file.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "http://"):
            assert word not in text.replace("http://www.w3.org/2000/svg", ""), (file.name, word)
