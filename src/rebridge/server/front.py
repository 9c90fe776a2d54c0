"""The front processes, which answer HTTP, and the parent that keeps them alive: uvicorn's own supervisor.

There is always a parent, even of one worker: it also holds the process of the models, so that neither a front nor a
model takes the other down.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from rebridge.server.logs import log_config
from rebridge.server.protocol import BoundedHttp

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from starlette.types import ASGIApp

    from rebridge.server.settings import ServerSettings

#: Time for a worker to end after its requests have ended.
_END_S = 5.0
#: How long idle connections stay open, seconds: longer than load balancers keep theirs, mostly 60, since a request that
#: meets the end of its connection is lost.
_KEEP_ALIVE_S = 75

_log = logging.getLogger("rebridge")


def front_config(settings: ServerSettings, factory: Callable[[], ASGIApp]) -> uvicorn.Config:
    """How each worker serves what ``factory`` makes in it.

    Nothing is added to or concluded from headers: a proxied engine's reply must look as the engine made it.
    """
    return uvicorn.Config(
        app=factory,
        factory=True,
        workers=settings.workers,
        log_config=log_config(settings.log.format, settings.log.level),
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.limits.drain_s,
        ssl_certfile=settings.tls.certificate if settings.tls else None,
        ssl_keyfile=settings.tls.key if settings.tls else None,
    )


class Front(Multiprocess):
    """The parent of the front processes.

    SIGTERM and SIGINT drain: `draining` is set, so that ``/readyz`` says no; after the delay no connection is taken any
    more, and requests that run have their time to end. SIGHUP goes to the workers, which reload their pipelines.

    Args:
        config: see `front_config`.
        sockets: the listening sockets.
        draining: what tells the workers that the end has begun.
        delay_s: time between that and the end of new connections.
        reload: called before the workers reload; they do not if it says that a pipeline file is wrong.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        draining: Event,
        delay_s: float,
        reload: Callable[[], bool],
    ) -> None:
        super().__init__(config, sockets)
        self._reload = reload
        self._draining = draining
        self._delay_s = delay_s

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            SystemExit: if the workers cannot start.
        """
        super().run()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            raise SystemExit(1)

    def handle_term(self) -> None:
        """Begin to drain."""
        if self._draining.is_set():
            return
        _log.info("draining")
        self._draining.set()
        if not self._delay_s:
            self.should_exit.set()
            return
        timer = threading.Timer(self._delay_s, self.should_exit.set)
        timer.daemon = True
        timer.start()

    def handle_int(self) -> None:
        """As SIGTERM; who asks twice is not kept waiting."""
        if self._draining.is_set():
            self.should_exit.set()
        self.handle_term()

    def handle_hup(self) -> None:
        """Let every worker reload its pipelines."""
        for process in self.processes if self._reload() else ():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended.

        They are not asked how they do, as uvicorn asks them: while one starts or dies, signals would have to wait.
        """
        for place, process in enumerate(self.processes):
            if process.process.is_alive() or self._draining.is_set():
                continue
            # The numbers that only live processes have are forgotten with them.
            mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
            if process.exitcode == STARTUP_FAILURE:
                _log.error("a worker cannot start: the server ends")
                self.should_exit.set()
                return
            _log.warning("worker %s ended with status %s and is replaced", process.pid, process.exitcode)
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()

    def terminate_all(self) -> None:
        """Take no new connections, and let the workers end."""
        for bound in self.sockets:
            bound.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for the workers; one that does not end in its time is killed."""
        patience = (self.config.timeout_graceful_shutdown or 0) + _END_S
        for process in self.processes:
            process.process.join(patience)
            if process.process.is_alive():
                _log.error("worker %s did not end in time and was killed", process.pid)
                process.process.kill()
                process.process.join()


def end_with_parent() -> None:
    """End this worker, gracefully, if its parent is killed: nobody would replace or stop it."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()
