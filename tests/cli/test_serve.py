"""``rebridge serve`` as a user runs it: a real process, and a model behind HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner, Result

from rebridge.cli import app
from rebridge.errors import ConfigError

from .serving import Peer, Served, rerank, serving, settings, standing_in, until


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """The address of a model server."""
    with standing_in(Peer) as url:
        yield url


@pytest.fixture(scope="module")
def served(peer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two workers, keys, and JSON logs, for tests that leave it running."""
    more = "workers: 2\napi_keys: [k3y]\nlog: {format: json}\nlimits: {body_mb: 0.01}\n"
    with serving(tmp_path_factory.mktemp("served"), settings(peer, more)) as running:
        yield running


def test_it_says_what_it_serves(served: Served) -> None:
    """Who starts it reads where it listens and which models it has."""
    assert "models: longest\n" in served.said()
    assert f"docs: {served.url}/docs" in served.said()


def test_reranking(served: Served) -> None:
    """The documents come back in the model's order."""
    answer = rerank(served.url, Authorization="Bearer k3y", **{"X-Request-Id": "id-1"})
    assert [result["index"] for result in answer.json()["results"]] == [1, 2, 0]
    assert answer.headers["x-request-id"] == "id-1"


def test_keys_are_asked_for(served: Served) -> None:
    """Without a key there are no scores and no numbers; probes and documentation are open."""
    assert rerank(served.url).status_code == 401
    assert httpx.get(f"{served.url}/metrics").status_code == 401
    assert {httpx.get(served.url + path).status_code for path in ("/healthz", "/docs", "/openapi.json")} == {200}


def test_the_description_tells_of_keys(served: Served) -> None:
    """The page of the API's description can ask for a key, which the routes say they want."""
    description = httpx.get(f"{served.url}/openapi.json").json()
    assert description["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert description["paths"]["/v2/rerank"]["post"]["security"] == [{"HTTPBearer": []}]


def test_large_bodies_are_refused(served: Served) -> None:
    """A body above the limit is told so in the API's own words."""
    answer = httpx.post(f"{served.url}/v2/rerank", content=b"x" * 20_000, headers={"X-API-Key": "k3y"})
    assert (answer.status_code, "message" in answer.json()) == (413, True)


def test_documentation_needs_no_other_host(served: Served) -> None:
    """The page of the API's description loads nothing from elsewhere."""
    page = httpx.get(f"{served.url}/docs").text
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", page)
    for path in re.findall(r"(?:src|href)=[\"'](/[^\"']+)", page):
        assert httpx.get(served.url + path).status_code == 200


def test_numbers_of_all_workers(served: Served) -> None:
    """Whichever worker is asked knows what all have answered."""

    def count() -> float:
        text = httpx.get(f"{served.url}/metrics", headers={"X-API-Key": "k3y"}).text
        found = re.search(r'rebridge_http_requests_total\{face="api",route="/v2/rerank",status="200"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    before = count()
    for _ in range(10):
        rerank(served.url, Authorization="Bearer k3y")
    assert {count() for _ in range(5)} == {before + 10}


def test_logs_are_json(served: Served) -> None:
    """Every line of the log is an object, and none holds a key or what was asked."""
    rerank(served.url, Authorization="Bearer k3y", **{"X-Request-Id": "id-2"})
    line = until(lambda: next((line for line in served.lines if "id-2" in line), None))
    assert json.loads(line)["status"] == 200
    assert "k3y" not in served.said()
    assert "zebra" not in served.said()


def test_a_worker_that_dies_is_replaced(served: Served) -> None:
    """The death of a worker costs no later request."""
    (worker, *_) = workers(served)
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in workers(served) and len(workers(served)) == 2)
    assert {rerank(served.url, Authorization="Bearer k3y").status_code for _ in range(10)} == {200}


def workers(served: Served) -> list[int]:
    """The front processes that live."""
    found = []
    for child in psutil.Process(served.process.pid).children():
        with suppress(psutil.Error):
            found += [child.pid] if "spawn_main" in " ".join(child.cmdline()) else []
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", *arguments])


def test_a_taken_port() -> None:
    """A port that is taken ends the start, with the address and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {listen}: another program listens there" in str(run("--listen", listen).exception)


def test_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check says that all is right, and serves nothing."""
    monkeypatch.chdir(tmp_path)
    result = run("--check", "--listen", "127.0.0.1:0", "--model", "some/model", "--workers", "3")
    assert (result.exit_code, result.stderr) == (0, "The settings and pipelines are right.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--proxy", "solar=http://x:1@127.0.0.1:0"], "proxies.0.engine: Input should be 'elasticsearch'"),
        (["--proxy", "solr=http://x:1@127.0.0.1:0"], "no folder"),
        (["--listen", "here"], "listen: 'here' is no HOST:PORT"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--config", "server.yaml"], "default_model: unknown model 'large'. Did you mean"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    """A mistake is a wrong configuration, named with its cure."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.yaml").write_text("default_model: large\nmodels: {larger: {}}\n", encoding="utf-8")
    error = run("--check", *arguments).exception
    assert isinstance(error, ConfigError)
    assert message in str(error)
    assert "Value error" not in str(error)


def test_an_odd_proxy() -> None:
    """A proxy that is not told where to listen is wrong usage."""
    result = run("--proxy", "elasticsearch=http://localhost:9200")
    assert result.exit_code == 2
    assert "ENGINE=URL@HOST:PORT" in result.stderr
