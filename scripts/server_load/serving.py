"""`rebridge serve` in front of engines, as a process that is watched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import yaml

_MIB = 2**20
_START_S = 120.0


@dataclass(frozen=True)
class Serving:
    """A running server.

    Attributes:
        pid: of its parent process.
        api: address of the rerank API.
        proxies: engine -> address of its proxy.
    """

    pid: int
    api: str
    proxies: Mapping[str, str]


@dataclass(frozen=True)
class Usage:
    """What the processes of one part use: resident memory (MiB) and processor time (seconds) so far."""

    memory: float
    cpu_s: float


@contextmanager
def serving(
    folder: Path, pipelines: Mapping[str, Mapping[str, Any]], engines: Mapping[str, str], workers: int
) -> Iterator[Serving]:
    """Serve these pipelines (file stem -> content), in front of these engines (name -> address of the engine)."""
    configs, settings = folder / "configs", folder / "server.yaml"
    configs.mkdir()
    for name, pipeline in pipelines.items():
        (configs / f"{name}.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    proxies = [{"engine": name, "url": url, "listen": "127.0.0.1:0"} for name, url in engines.items()]
    chosen = {"listen": "127.0.0.1:0", "workers": workers, "proxies": proxies}
    settings.write_text(yaml.safe_dump(chosen), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("rebridge")),
        "serve",
        "--config",
        str(settings),
        "--configs",
        str(configs),
    ]
    log = folder / "log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield _ready(process, list(engines), log)
        finally:
            process.terminate()
            process.wait(60)


def _ready(process: subprocess.Popen[bytes], engines: Sequence[str], log: Path) -> Serving:
    """Read what the server says that it serves where, and wait until its model is loaded."""
    wanted, end, said = {"rerank API", *engines}, time.monotonic() + _START_S, dict[str, str]()
    while not (wanted <= said.keys() and _loaded(said["rerank API"])):
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"error: the server does not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.5)
        lines = (line.partition(": ") for line in log.read_text(encoding="utf-8").splitlines())
        said = {name: rest.split()[0] for name, _, rest in lines if name in wanted}
    return Serving(process.pid, said.pop("rerank API"), said)


def _loaded(api: str) -> bool:
    try:
        with urlopen(f"{api}/readyz", timeout=5) as reply:  # noqa: S310 - our own server
            return bool(json.load(reply)["scorer"])
    except (URLError, OSError):
        return False


def usage(served: Serving) -> dict[str, Usage]:
    """What the front processes, the process of the models and the parent of both use."""
    found: dict[str, Usage] = {}
    parent = psutil.Process(served.pid)
    for process in (parent, *parent.children(recursive=True)):
        command = " ".join(process.cmdline())
        part = "models" if "models.process" in command else "front" if "spawn_main" in command else "parent"
        cpu, before = process.cpu_times(), found.get(part, Usage(0.0, 0.0))
        memory = process.memory_info().rss / _MIB
        found[part] = Usage(before.memory + memory, before.cpu_s + cpu.user + cpu.system)
    return found
