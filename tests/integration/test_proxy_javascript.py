"""The official JavaScript clients through a proxy, beside what they get directly."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.proxying import bridge, proxied

from rebridge.testing import FakeScorer

from .query_dsl_requests import clear, fill
from .test_proxy import CONFIG

PREFIX = "javascript_"
SCRIPT = Path(__file__).parent / "javascript" / "clients.mjs"
PACKAGES = ("@elastic/elasticsearch@9", "@opensearch-project/opensearch@3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603
    if done.returncode:
        pytest.skip(f"npm cannot install {', '.join(PACKAGES)}: {done.stderr[-300:]}")
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.fixture(params=["elasticsearch", "opensearch"])
def product(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """An engine that has something to find."""
    url = request.getfixturevalue(f"{request.param}_url")
    fill(url, request.param, PREFIX)
    yield request.param, url
    clear(url, PREFIX)


def used(folder: Path, product: str, url: str) -> dict[str, Any]:
    command = ["node", SCRIPT.name, product, url, f"{PREFIX}shoes"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_javascript_clients(folder: Path, product: tuple[str, str]) -> None:
    """Searches of the unmodified clients are reranked; bulk, scrolling and errors are as without the proxy."""
    direct = used(folder, *product)
    loved = FakeScorer(lambda _, passage: float("shoe 7\n" in passage))
    with proxied(*product, bridge(product[0], CONFIG, loved)) as proxy:
        through = used(folder, product[0], proxy)
    assert direct.pop("told") is None
    assert through.pop("told").startswith("applied; ")
    assert direct.pop("ids")[0] != "shoes-7"
    assert through.pop("ids")[0] == "shoes-7"
    assert through.pop("multi")[0][0] == "shoes-7"
    del direct["multi"]
    assert through == direct
    assert direct["bulk"] == direct["scrolled"] == 500
