"""What clients see when processes of ours are killed, hang, are told to end, or cannot write."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
import pytest
from tests.cli.serving import PATIENCE, REBRIDGE, Engine, Peer, Served, serving, standing_in, until

pytestmark = pytest.mark.slow

PIPELINE = "connector: {{name: elasticsearch}}\nscorer: {scorer}\npassage: {{template: '{{title}}'}}\n"
REMOTE = "{{kind: remote, dialect: tei, url: '{peer}'}}"
FUSION = "fusion: {method: replace}\n"
SETTINGS = """
listen: 127.0.0.1:{api}
models: {{model: {scorer}}}
proxies: [{{engine: elasticsearch, url: "{engine}", listen: "127.0.0.1:{proxy}"}}]
"""
RERANK = {"query": "boots", "documents": ["a", "warm boots"]}


class SlowEngine(Engine):
    """Takes its time, if it is told to."""

    delay: ClassVar[float] = 0.0
    asked: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        SlowEngine.asked.set()
        time.sleep(SlowEngine.delay)
        super().do_POST()


@dataclass(frozen=True)
class Place:
    """Where everything is.

    Attributes:
        api, proxy: ports.
        scorer: section of the scorer.
        engine: its address.
        folder: with the server's files.
    """

    api: int
    proxy: int
    scorer: str
    engine: str
    folder: Path

    def settings(self, more: str = "") -> str:
        return SETTINGS.format(api=self.api, proxy=self.proxy, scorer=self.scorer, engine=self.engine) + more

    def pipeline(self) -> Path:
        (self.folder / "configs").mkdir(exist_ok=True)
        file = self.folder / "configs" / "shop.yaml"
        file.write_text(PIPELINE.format(scorer=self.scorer) + FUSION)
        return file

    def search(self) -> httpx.Response:
        url = f"http://127.0.0.1:{self.proxy}/shop/_search"
        return httpx.post(url, json={"query": {"match": {"title": "boots"}}}, timeout=PATIENCE)

    def rerank(self) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.api}/v2/rerank", json=RERANK, timeout=PATIENCE)

    def is_well(self) -> bool:
        return self.search().headers["x-rerank"].startswith("applied") and self.rerank().status_code == 200


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[str, str]]:
    """Of a model server and an engine."""
    with standing_in(Peer) as peer, standing_in(SlowEngine) as engine:
        yield peer, engine


@pytest.fixture
def place(addresses: tuple[str, str], tmp_path: Path) -> Place:
    """A server with a remote model, not yet started."""
    peer, engine = addresses
    made = Place(*free_ports(), REMOTE.format(peer=peer), engine, tmp_path)
    made.pipeline()
    return made


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def local(addresses: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Served]]:
    """A server with the default model in its process, ready."""
    made = Place(*free_ports(), "{}", addresses[1], tmp_path_factory.mktemp("local"))
    made.pipeline()
    with serving(made.folder, made.settings()) as running:
        until(made.is_well)
        yield made, running


def child(running: Served, word: str) -> int:
    """The id of a process of the server."""
    found = [one for one in psutil.Process(running.process.pid).children() if word in " ".join(one.cmdline())]
    return int(found[0].pid)


def test_the_process_of_the_models_is_killed(local: tuple[Place, Served]) -> None:
    """For seconds: searches in the engine's order, `scorer_failed` or `circuit_open`; the API 503."""
    place, running = local
    killed = child(running, "rebridge.server.models.process")
    os.kill(killed, signal.SIGKILL)
    search, rerank = place.search(), place.rerank()
    assert (search.status_code, rerank.status_code) == (200, 503)
    assert search.headers["x-rerank"].startswith("degraded; reason=scorer_failed")
    assert [hit["_id"] for hit in search.json()["hits"]["hits"]] == ["boots", "warm boots"]
    assert until(place.is_well)
    assert "rebridge_scorer_restarts_total 1.0" in httpx.get(f"http://127.0.0.1:{place.api}/metrics").text


def test_the_process_of_the_models_hangs(local: tuple[Place, Served]) -> None:
    """Searches at their deadline, `degraded; reason=deadline`; the API 504; well again when it has been restarted."""
    place, running = local
    os.kill(child(running, "rebridge.server.models.process"), signal.SIGSTOP)
    headers = {"x-rerank-deadline-ms": "300"}
    body: dict[str, Any] = {"query": {"match": {"title": "boots"}}}
    search = httpx.post(f"http://127.0.0.1:{place.proxy}/shop/_search", json=body, headers=headers)
    rerank = httpx.post(f"http://127.0.0.1:{place.api}/v2/rerank", json=RERANK, headers=headers)
    assert (search.status_code, rerank.status_code) == (200, 504)
    assert search.headers["x-rerank"].startswith("degraded; reason=deadline")
    assert until(place.is_well)


def test_a_worker_is_killed(local: tuple[Place, Served]) -> None:
    """Its connections break; a new one is there within seconds."""
    place, running = local
    SlowEngine.delay = 5.0
    SlowEngine.asked.clear()
    try:
        with ThreadPoolExecutor() as pool:
            broken = pool.submit(place.search)
            assert SlowEngine.asked.wait(PATIENCE)
            os.kill(child(running, "spawn_main"), signal.SIGKILL)
            assert isinstance(broken.exception(PATIENCE), httpx.TransportError)
    finally:
        SlowEngine.delay = 0.0
    assert until(lambda: answered(place))


def answered(place: Place) -> bool:
    try:
        return place.is_well()
    except httpx.TransportError:
        return False


def test_a_reload_has_an_error(place: Place) -> None:
    """Nothing: the old pipelines stay; the log and a metric tell."""
    with serving(place.folder, place.settings()) as running:
        assert place.is_well()
        for broken in ("rank_windwo: 5\n", "a: b: c", "\x00", ""):
            said = len(running.said())
            place.pipeline().write_text(broken)
            running.process.send_signal(signal.SIGHUP)
            assert until(lambda said=said: "the old ones stay" in running.said()[said:])
            assert place.is_well()
        place.pipeline().unlink()
        running.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert running.process.poll() is None
        assert place.rerank().status_code == 200


def test_the_server_is_ended_while_it_searches(place: Place) -> None:
    """SIGTERM: running searches get their answers, new connections are refused; the exit code is 0."""
    with serving(place.folder, place.settings()) as running, ThreadPoolExecutor() as pool:
        SlowEngine.delay = 1.5
        SlowEngine.asked.clear()
        try:
            slow = pool.submit(place.search)
            assert SlowEngine.asked.wait(PATIENCE)
            assert running.end(signal.SIGTERM) == 0
        finally:
            SlowEngine.delay = 0.0
        assert slow.result().headers["x-rerank"].startswith("applied")
        with pytest.raises(httpx.ConnectError):
            place.search()


def test_the_whole_server_is_killed(place: Place) -> None:
    """Connections are refused at once or soon; no process of ours is left, and the ports are free."""
    with serving(place.folder, place.settings()) as running:
        family = psutil.Process(running.process.pid).children(recursive=True)
        running.process.kill()
        assert until(lambda: not any(one.is_running() for one in family))
        for port in (place.api, place.proxy):
            socket.create_server(("127.0.0.1", port)).close()


@contextmanager
def writing_to(place: Place, target: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose output goes to a file descriptor."""
    (place.folder / "server.yaml").write_text(place.settings("log: {level: debug}\n"))
    command = [*REBRIDGE, "serve", "--config", "server.yaml"]
    with subprocess.Popen(command, cwd=place.folder, stdout=target, stderr=target) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_the_disk_for_logs_is_full(place: Place) -> None:
    """Nothing: what cannot be logged is lost."""
    with Path("/dev/full").open("wb") as full, writing_to(place, full.fileno()) as process:
        assert until(lambda: process.poll() is not None or answered(place))
        assert process.poll() is None
        assert all(place.is_well() for _ in range(3))
        process.send_signal(signal.SIGHUP)
        assert place.is_well()
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_nobody_reads_the_log(place: Place) -> None:
    """Nothing, if its reader has gone away."""
    reader, writer = os.pipe()
    os.close(reader)
    with writing_to(place, writer) as process:
        os.close(writer)
        assert until(lambda: process.poll() is not None or answered(place))
        assert process.poll() is None


def test_failures_are_logged(place: Place) -> None:
    """Errors tell neither queries nor documents nor keys, to clients and in the log."""
    with serving(
        place.folder, place.settings("api_keys: [s3cr3t]\n").replace(place.engine, "http://127.0.0.1:9")
    ) as run:
        query = {"query": {"match": {"title": "zebra"}}}
        reply = httpx.post(f"http://127.0.0.1:{place.proxy}/shop/_search?q=zebra", json=query)
        assert (reply.status_code, "zebra" in reply.text) == (502, False)
        assert place.rerank().status_code == 401
        assert until(lambda: re.search("ConnectionRefused", run.said()))
        assert not re.search("zebra|s3cr3t", run.said())
