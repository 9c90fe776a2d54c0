"""The process that holds the models, so that one that crashes, hangs or runs out of memory takes nothing else along.

``python -m rebridge.server.models.process`` reads its orders, one line of JSON, from standard input, and lives until
that is closed: it ends with whoever started it. It answers on a Unix socket:

- ``POST /rebridge/v1/scores``: scores, as in `rebridge.server.rerank.native`.
- ``GET /healthz``: 200, or 503 with ``"status": "stuck"`` if a model has been at one batch for too long.
- ``GET /models``: the state of each model. ``PUT /models``: serve another table.
"""

from __future__ import annotations

import ctypes
import logging.config
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rebridge.scorers.sections import open_section
from rebridge.server.models.pool import ModelPool, Opener
from rebridge.server.models.table import ModelTable
from rebridge.server.rerank.desk import Desk
from rebridge.server.rerank.limits import Limits
from rebridge.server.rerank.native import native_router
from rebridge.server.scoring import PoolScoring

_PR_SET_PDEATHSIG = 1
#: How far behind the front processes this one stands for the processor.
_NICE = 5

# Whoever asks has bounds of its own for what clients send; here only the queue is bounded.
_NO_BOUND = 2**40


class Orders(BaseModel):
    """What the process is to do.

    Attributes:
        socket: path of the Unix socket to listen on.
        table: what `ModelTable.reveal` gave.
        memory_budget_mb: see `ModelPool`.
        queue: most requests that wait for scores.
        stuck_s: a batch that takes longer means that the model is stuck, seconds.
        drain_s: how long requests may take to end after SIGTERM, seconds.
        logging: for `logging.config.dictConfig`; None for none.
    """

    socket: str
    table: dict[str, Any]
    memory_budget_mb: float | None = None
    queue: int = 256
    stuck_s: float = 120.0
    drain_s: int = 10
    logging: dict[str, Any] | None = None


def application(pool: ModelPool, orders: Orders) -> FastAPI:
    """The process's application."""
    app = FastAPI(openapi_url=None)
    bounds = dict.fromkeys(("body_bytes", "documents", "windows", "query_characters"), _NO_BOUND)
    limits = Limits(**bounds, queue=orders.queue, deadline_s=3600.0)
    app.include_router(native_router(Desk(PoolScoring(pool), limits)))

    @app.get("/healthz")
    async def healthz() -> Response:
        stuck = [state.name for state in pool.states() if state.busy_s > orders.stuck_s]
        told = {"status": "stuck" if stuck else "ok", "stuck": stuck, "ready": pool.ready.is_set()}
        return JSONResponse(told, 503 if stuck else 200)

    @app.get("/models")
    async def models() -> dict[str, Any]:
        return {"models": [asdict(state) for state in pool.states()]}

    @app.put("/models")
    async def serve_others(table: Annotated[dict[str, Any], Body()]) -> None:
        pool.update(ModelTable.read(table))

    return app


def main(opener: Opener = open_section) -> None:
    """Do what standard input orders, until it is closed.

    Args:
        opener: opens the scorer of a section.
    """
    orders = Orders.model_validate_json(sys.stdin.buffer.readline())
    if orders.logging is not None:
        logging.config.dictConfig(orders.logging)
    _yield_to_others()
    pool = ModelPool(ModelTable.read(orders.table), orders.memory_budget_mb, opener)
    Thread(target=pool.preload, name="preload", daemon=True).start()
    config = uvicorn.Config(
        application(pool, orders),
        uds=orders.socket,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=orders.drain_s,
    )
    server = uvicorn.Server(config)
    _when_stdin_closes(lambda: os.kill(os.getpid(), signal.SIGTERM))
    server.run()


def _yield_to_others() -> None:
    """Have the kernel end this process with its parent, even if it is stuck by then, and first when memory runs out.

    The front processes come first at the processor too: their replies are due, with scores or without.
    """
    os.nice(_NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _when_stdin_closes(act: Callable[[], None]) -> None:
    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock a thread must not hold when the process ends
            pass
        act()

    Thread(target=wait, name="wait for the parent's end", daemon=True).start()


if __name__ == "__main__":
    main()
