"""A rerank API over fakes, for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rebridge.config import ScorerSection
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.models.pool import ModelPool
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.server.rerank import Limits, rerank_router
from rebridge.server.scoring import PoolScoring
from rebridge.steps import Windows

SCORES = {"low": -1.0, "middle": 0.5, "high": 2.0}


class HeldScorer(FakeScorer):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.futures: list[Future[list[tuple[float, ...]]]] = []

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[tuple[float, ...]]]:
        """Keep the future."""
        self.futures.append(Future())
        self.asked.release()
        return self.futures[-1]


def application(
    models: Mapping[str, Scorer] | Scorer, limits: Limits | None = None, also: Sequence[str] = ()
) -> FastAPI:
    """An application with these models; one alone is named ``fake``."""
    named = models if isinstance(models, Mapping) else {"fake": models}
    table = ModelTable([ServedModel(name, ScorerSection(model=name), tuple(also), preload=True) for name in named])
    pool = ModelPool(table, opener=lambda section: named[section.model])
    pool.preload()
    app = FastAPI()
    app.include_router(rerank_router(PoolScoring(pool), limits))
    return app


def client(models: Mapping[str, Scorer] | Scorer, limits: Limits | None = None, also: Sequence[str] = ()) -> TestClient:
    """A client of such an application, in this process."""
    return TestClient(application(models, limits, also))


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of an application that listens on this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
