"""How ``rebridge serve`` ends, reloads, and speaks TLS."""

from __future__ import annotations

import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .serving import PATIENCE, Engine, Peer, rerank, serving, settings, standing_in, until

pytestmark = pytest.mark.slow

PIPELINE = "connector: {name: elasticsearch}\nscorer: {kind: remote, dialect: tei, url: 'http://127.0.0.1:9'}\n"


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """The address of a model server."""
    with standing_in(Peer) as url:
        yield url


def test_running_requests_end(peer: str, tmp_path: Path) -> None:
    """After SIGTERM readiness is denied, then connections; the running request gets its answer; the exit code is 0."""
    with serving(tmp_path, settings(peer, "limits: {drain_delay_s: 1}")) as running, ThreadPoolExecutor() as pool:
        assert httpx.get(f"{running.url}/readyz").json()["draining"] is False
        Peer.delay = 3.0
        Peer.asked.clear()
        try:
            slow = pool.submit(rerank, running.url)
            assert Peer.asked.wait(PATIENCE)
            running.process.send_signal(signal.SIGTERM)
            answer = until(lambda: refusal(running.url))
            assert answer == "draining"
            until(lambda: refusal(running.url) == "no connection")
            assert not slow.done()
            assert [result["index"] for result in slow.result().json()["results"]] == [1, 2, 0]
        finally:
            Peer.delay = 0.0
        assert running.process.wait(PATIENCE) == 0


def refusal(url: str) -> str | None:
    """How a server says that it gets no requests any more."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=PATIENCE)
    except httpx.TransportError:
        return "no connection"
    return "draining" if answer.status_code == 503 and answer.json()["draining"] else None


def test_requests_that_take_too_long_are_ended(peer: str, tmp_path: Path) -> None:
    """A request that does not end in its time does not keep the server from ending."""
    with serving(tmp_path, settings(peer, "limits: {drain_s: 1}")) as running, ThreadPoolExecutor() as pool:
        Peer.delay = 15.0
        Peer.asked.clear()
        try:
            slow = pool.submit(rerank, running.url)
            assert Peer.asked.wait(PATIENCE)
            began = time.monotonic()
            assert running.end(signal.SIGINT) == 0
            assert time.monotonic() - began < 12
        finally:
            Peer.delay = 0.0
        assert isinstance(slow.exception(PATIENCE), httpx.TransportError) or slow.result().status_code >= 500


@pytest.fixture
def engine() -> Iterator[str]:
    """The address of an engine."""
    with standing_in(Engine) as url:
        yield url


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "both.pem"
    names = ("-subj", "/CN=rebridge tests", "-addext", "subjectAltName=IP:127.0.0.1")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", str(file), "-out", f"{file}.crt")
    subprocess.run([openssl, "req", "-x509", "-nodes", *names, *key], check=True, capture_output=True)  # noqa: S603 - ours
    with file.open("a") as both:
        both.write(Path(f"{file}.crt").read_text())
    return file


def test_a_proxy_with_tls(peer: str, engine: str, certificate: Path, tmp_path: Path) -> None:
    """A search through the proxy is reranked, says so and is counted, without a key; both ports speak TLS."""
    (tmp_path / "configs").mkdir()
    passage = 'passage: {template: "{title}"}\nfusion: {method: replace}\n'
    (tmp_path / "configs" / "shop.yaml").write_text(PIPELINE.replace("http://127.0.0.1:9", peer) + passage)
    more = f"""
proxies: [{{engine: elasticsearch, url: "{engine}", listen: "127.0.0.1:0"}}]
tls: {{certificate: {certificate}, key: {certificate}}}
api_keys: [k3y]
"""
    trust = ssl.create_default_context(cafile=certificate)
    with serving(tmp_path, settings(peer, more), trust=trust) as running:
        assert running.url.startswith("https://")
        proxy = re.findall(r"elasticsearch: (\S+) -> ", running.said())[0]
        answer = httpx.post(f"{proxy}/shop/_search", json={"query": {"match": {"title": "boots"}}}, verify=trust)
        assert [hit["_id"] for hit in answer.json()["hits"]["hits"]] == ["warm boots", "boots"]
        assert answer.headers["x-rerank"].startswith("applied; pipeline=shop")
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
        numbers = httpx.get(f"{running.url}/metrics", headers={"X-API-Key": "k3y"}, verify=trust).text
        assert 'rebridge_searches_total{index="shop",reason="",status="applied"} 1.0' in numbers


def test_reload(peer: str, tmp_path: Path) -> None:
    """SIGHUP reads the pipeline files again. One with an error changes nothing, and is told and counted."""
    (tmp_path / "configs").mkdir()
    file = tmp_path / "configs" / "shop.yaml"
    file.write_text(PIPELINE)
    proxies = "proxies: [{engine: elasticsearch, url: 'http://127.0.0.1:9', listen: '127.0.0.1:0'}]"
    with serving(tmp_path, settings(peer, proxies)) as running:
        assert "pipelines: shop" in running.said()
        file.write_text(PIPELINE + "rank_windwo: 5\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "Did you mean 'rank_window'?" in running.said())
        assert "the old ones stay" in running.said()
        assert "rebridge_reload_failures_total 1.0" in httpx.get(f"{running.url}/metrics").text
        file.write_text(PIPELINE + "rank_window: 5\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "pipelines reloaded" in running.said())
        assert "rebridge_reloads_total 1.0" in httpx.get(f"{running.url}/metrics").text
