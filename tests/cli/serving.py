"""Running ``rebridge serve`` in tests: the process, a model server and an engine behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx

FoundT = TypeVar("FoundT")

REBRIDGE = (sys.executable, "-c", "from rebridge.cli import main; main()")
PATIENCE = 60.0


class Quiet(BaseHTTPRequestHandler):
    """Keeps connections, and says nothing of them."""

    protocol_version = "HTTP/1.1"

    def read(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, value: Any, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        for name, text in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Peer(Quiet):
    """A model server that speaks TEI's API: the longer the text, the better. It may be slow."""

    delay: ClassVar[float] = 0.0
    asked: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        texts = self.read()["texts"]
        Peer.asked.set()
        time.sleep(Peer.delay)
        self.answer([{"index": index, "score": float(len(text))} for index, text in enumerate(texts)])


class Engine(Quiet):
    """An Elasticsearch with two documents, the shorter one first."""

    def do_POST(self) -> None:
        self.read()
        hits = [
            {"_index": "shop", "_id": text, "_score": 3.0 - rank, "_source": {"title": text}}
            for rank, text in enumerate(["boots", "warm boots"])
        ]
        found = {"total": {"value": 2, "relation": "eq"}, "max_score": 3.0, "hits": hits}
        self.answer({"took": 1, "timed_out": False, "hits": found}, **{"x-elastic-product": "Elasticsearch"})


@contextmanager
def standing_in(handler: type[Quiet]) -> Iterator[str]:
    """The address of a server that runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Served:
    """A server that runs.

    Attributes:
        process: its parent process.
        url: of the API.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.url = ""

    def said(self) -> str:
        return "".join(self.lines)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)


def until(look: Callable[[], FoundT | None]) -> FoundT:
    """What ``look`` finds, sooner or later."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


@contextmanager
def serving(folder: Path, settings: str, trust: ssl.SSLContext | None = None) -> Iterator[Served]:
    (folder / "server.yaml").write_text(settings, encoding="utf-8")
    command = (*REBRIDGE, "serve", "--config", "server.yaml")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REBRIDGE_", "OTEL_"))}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        served = Served(process)
        try:
            until(lambda: is_up(served, trust))
            yield served
        finally:
            process.terminate()
            process.wait(PATIENCE)
            served.reader.join(PATIENCE)


def is_up(served: Served, trust: ssl.SSLContext | None) -> bool:
    assert served.process.poll() is None, served.said()
    if found := re.search(r"rerank API: (\S+)", served.said()):
        served.url = found[1]
    try:
        return httpx.get(f"{served.url}/healthz", timeout=PATIENCE, verify=trust or True).status_code == 200
    except (httpx.TransportError, httpx.UnsupportedProtocol):
        return False


def settings(peer: str, more: str = "") -> str:
    return f"""
listen: 127.0.0.1:0
models:
  longest: {{kind: remote, dialect: tei, url: "{peer}", also: [rerank-v3.5]}}
{more}
"""


DOCUMENTS = {"query": "zebra", "documents": ["a", "zebra!!", "ab"]}


def rerank(url: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/v2/rerank", json=DOCUMENTS, headers=headers, timeout=PATIENCE)
