"""Keeps the process of the models alive: starts it, watches it, and starts it again when it ends or hangs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from rebridge.errors import ConfigError
from rebridge.server.folders import private_folder
from rebridge.server.models.asking import ModelsClient
from rebridge.server.models.table import ModelTable

#: What is run; it is told what to do on its standard input.
COMMAND = (sys.executable, "-m", "rebridge.server.models.process")

#: Bytes in the path of a Unix socket, where it is shortest (macOS).
_LONGEST_SOCKET = 103

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a supervisor is, in seconds.

    Attributes:
        start: until a process that was started must answer.
        interval: from one question for its health to the next.
        answer: within which it must answer one.
        misses: after how many questions without an answer it hangs.
        stuck: how long a model may be at one batch.
        stop: how long requests may take to end when it is told to.
        backoff: before it is started again; doubled each time that it ends soon after.
        backoff_most: the longest of these pauses.
        well: how long it must have lived for the pause to be short again.
    """

    start: float = 120.0
    interval: float = 2.0
    answer: float = 5.0
    misses: int = 3
    stuck: float = 120.0
    stop: float = 10.0
    backoff: float = 0.2
    backoff_most: float = 30.0
    well: float = 60.0


class Supervisor:
    """The process of the models, and a thread that watches it.

    While the process is away, requests to its socket fail at once.

    Args:
        table: the models.
        memory_budget_mb: see `rebridge.server.models.pool.ModelPool`.
        queue: most requests that may wait for scores there.
        logging: for `logging.config.dictConfig` in the process; None for none.
        timing: how patient to be.
        command: what is run.
        on_restart: called whenever it is started again.

    Attributes:
        socket: where the process listens, in a folder that nobody else may enter.
        restarts: how often it had to be started again.
    """

    def __init__(  # noqa: PLR0913 - keyword options
        self,
        table: ModelTable,
        *,
        memory_budget_mb: float | None = None,
        queue: int = 256,
        logging: dict[str, Any] | None = None,
        timing: Timing | None = None,
        command: Sequence[str] = COMMAND,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self.restarts = 0
        self._on_restart = on_restart
        self._timing = timing or Timing()
        self._command = tuple(command)
        self._table = table
        self._folder = private_folder()
        self.socket = Path(self._folder.name) / "models"
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET:
            self._folder.cleanup()
            raise ConfigError(f"{tempfile.gettempdir()} is too deep for sockets: set TMPDIR to a shorter folder")
        self._orders = {
            "socket": str(self.socket),
            "memory_budget_mb": memory_budget_mb,
            "queue": queue,
            "stuck_s": self._timing.stuck,
            "drain_s": max(1, round(self._timing.stop)),
            "logging": logging,
        }
        self._client = ModelsClient(self.socket, self._timing.answer)
        self._stopping = Event()
        self._up = Event()
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._run, name="watch the models", daemon=True)

    @property
    def pid(self) -> int | None:
        """The id of the process; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the process and watch it; returns at once."""
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process answers; whether it does."""
        return self._up.wait(timeout)

    def ready(self) -> bool:
        """Whether the process answers, and the models that are to be loaded at start are."""
        return self._up.is_set() and bool((self._client.get("/healthz") or {}).get("ready", False))

    def update(self, table: ModelTable) -> None:
        """Serve another table, now and after every restart.

        Raises:
            ScorerError: if the process refuses it.
        """
        with self._lock:
            self._table = table
        if self._up.is_set():
            self._client.put("/models", table.reveal())  # if it does not answer, it gets the table when it is back

    def stop(self) -> None:
        """End the process, and wait for its end. Calling it twice is allowed."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        if self._thread.ident is not None:
            self._thread.join()
        self._client.close()
        self._folder.cleanup()

    def _run(self) -> None:
        pause = self._timing.backoff
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                why = self._live()
            except Exception as error:  # noqa: BLE001 - without this thread, nobody would start it again
                _log.exception("the process of the models cannot be watched")
                why = f"cannot be watched ({type(error).__name__})"
            self._up.clear()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > self._timing.well:
                pause = self._timing.backoff
            _log.error("the process of the models %s: it is started again in %.1f s", why, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, self._timing.backoff_most)
            self.restarts += 1
            self._on_restart()

    def _live(self) -> str:
        """One process from its start to its end; why it ended."""
        self.socket.unlink(missing_ok=True)
        try:
            # A session of its own: Ctrl-C in a terminal is for the main process, which drains before it stops this one.
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - ours
        except OSError as error:
            return f"cannot be started ({error})"
        self._process = process
        try:
            return self._watch(process, self._order(process))
        except BrokenPipeError:
            return f"ended with status {process.wait()} before it could be told what to do"
        finally:
            self._end(process)

    def _order(self, process: subprocess.Popen[bytes]) -> ModelTable:
        """Tell a new process what to do; the table that it was told."""
        with self._lock:
            table = self._table
        if process.stdin is not None:
            process.stdin.write(json.dumps({**self._orders, "table": table.reveal()}).encode() + b"\n")
            process.stdin.flush()
        return table

    def _watch(self, process: subprocess.Popen[bytes], told: ModelTable) -> str:
        """Ask for its health until it ends or must be ended; why."""
        timing = self._timing
        limit, misses = time.monotonic() + timing.start, 0
        while True:
            if (status := _exit_status(process, timing.interval if self._up.is_set() else 0.05)) is not None:
                return f"ended with status {status}"
            if self._stopping.is_set():
                return "is stopped"
            health = self._client.get("/healthz")
            misses = 0 if health is not None else misses + 1
            if health is not None and health.get("stuck"):
                return f"hangs in {', '.join(map(str, health['stuck']))}"
            if health is not None and not self._up.is_set():
                self._up.set()
                if self._table is not told:
                    self._client.put("/models", self._table.reveal())
            if self._up.is_set() and misses >= timing.misses:
                return "does not answer any more"
            if not self._up.is_set() and time.monotonic() > limit:
                return f"did not answer within {timing.start:.0f} s of its start"

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process: politely if all is well, by force if it hangs or does not listen."""
        if not self._stopping.is_set():
            process.kill()
        elif process.poll() is None:
            process.terminate()
            if _exit_status(process, self._timing.stop + 1.0) is None:
                process.kill()
        process.wait()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


def _exit_status(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """The status with which a process ends within a time; None if it goes on."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
