"""The process of the models, and how it comes back from whatever happens to it."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError, ScorerError
from rebridge.scorers import Scorer
from rebridge.server.models.supervisor import Supervisor, Timing
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.server.scoring import ProcessScoring

FAKE = (sys.executable, str(Path(__file__).with_name("fake_process.py")))
NAMES = ("sound", "crash", "freeze", "stuck", "missing")
TABLE = ModelTable(
    [ServedModel(name, ScorerSection(model=name), ("alias",), preload=name in {"sound", "missing"}) for name in NAMES]
)
QUICK = Timing(interval=0.1, answer=0.5, misses=2, stuck=0.5, stop=2.0, backoff=0.05)


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    watched = Supervisor(TABLE, timing=QUICK, command=FAKE)
    watched.start()
    assert watched.wait(60)
    yield watched
    watched.stop()


@pytest.fixture
def service(supervisor: Supervisor) -> Iterator[ProcessScoring]:
    scoring = ProcessScoring(TABLE, supervisor.socket)
    assert until(scoring.ready)
    yield scoring
    scoring.close()


def until(what: Callable[[], Any], seconds: float = 60) -> bool:
    """Whether it comes true within some time."""
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(what())


def answers(scorer: Scorer) -> bool:
    """Whether the scorer gives the right score."""
    try:
        return scorer.submit("q", ["four"], deadline=time.monotonic() + 5).result() == [(4.0,)]
    except ScorerError:
        return False


def test_the_process_scores(service: ProcessScoring) -> None:
    """Scores, names and activation come through; NaN does, too."""
    scorer = service.scorer("alias")
    assert scorer.submit("q", ["a", "", "ccc"]).result() == [(1.0,), (0.0,), (3.0,)]
    assert (scorer.name, scorer.activation) == ("sound", "sigmoid")


def test_a_pipelines_scorer_is_a_client_of_the_process(service: ProcessScoring) -> None:
    """A section that the table holds is asked of the process."""
    scorer = service.opener(ScorerSection(model="sound"))
    assert answers(scorer)
    scorer.close()


def test_the_state_of_the_models_is_known(service: ProcessScoring) -> None:
    """Which models are loaded is asked of the process."""
    states = {state.name: state for state in service.models()}
    assert list(states) == list(NAMES)
    assert (states["sound"].loaded, states["sound"].also, states["crash"].loaded) == (True, ("alias",), False)


def test_a_model_that_cannot_be_loaded_fails_alone(service: ProcessScoring) -> None:
    """Its requests say why; the process goes on."""
    with pytest.raises(ScorerError, match="no such model"):
        service.scorer("missing").submit("q", ["p"]).result()
    assert answers(service.scorer("sound"))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["crash", "freeze", "stuck"])
def test_a_model_that_takes_the_process_along_is_survived(
    supervisor: Supervisor, service: ProcessScoring, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash, a frozen process and a stuck batch cost the requests of the moment; then the models are back."""
    caplog.set_level(logging.CRITICAL, "httpx")
    before, pid = supervisor.restarts, supervisor.pid
    with pytest.raises(ScorerError):
        service.scorer(model).submit("q", ["p"], deadline=time.monotonic() + 2).result()
    assert until(lambda: supervisor.restarts > before)
    assert until(lambda: answers(service.scorer("sound")))
    assert supervisor.pid != pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_a_killed_process_comes_back(supervisor: Supervisor, service: ProcessScoring) -> None:
    """SIGKILL, as out of memory does it, is survived; until then no model counts as loaded."""
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    assert until(lambda: not service.ready(), 10)
    assert until(lambda: answers(service.scorer("sound")))
    assert until(supervisor.ready)


@pytest.mark.slow
def test_the_process_takes_another_table_and_keeps_it(supervisor: Supervisor, service: ProcessScoring) -> None:
    """A reload of the configuration reaches the process, also after a restart."""
    more = TABLE.with_sections([ScorerSection(model="new")])
    supervisor.update(more)
    service.update(more)
    assert answers(service.scorer("new"))
    before = supervisor.restarts
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    assert until(lambda: supervisor.restarts > before)
    assert until(lambda: answers(service.scorer("new")))


def test_nobody_else_may_ask_the_process(supervisor: Supervisor) -> None:
    """The socket lies in a folder that only its owner may enter."""
    assert stat.S_IMODE(supervisor.socket.parent.stat().st_mode) == 0o700


def test_stopping_ends_the_process_and_removes_the_socket() -> None:
    """After `stop` nothing is left; calling it twice is allowed. Secrets stand on no command line."""
    section = ScorerSection.model_validate({"model": "sound", "token": "hidden"})
    watched = Supervisor(ModelTable([ServedModel("sound", section)]), timing=QUICK, command=FAKE)
    watched.start()
    assert watched.wait(60)
    pid = watched.pid
    assert pid is not None
    assert "hidden" not in " ".join(psutil.Process(pid).cmdline())
    assert "hidden" not in " ".join(psutil.Process(pid).environ().values())
    watched.stop()
    watched.stop()
    assert not psutil.pid_exists(pid)
    assert not watched.socket.parent.exists()


@pytest.mark.slow
def test_a_process_that_cannot_start_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """One that ends at once is started again and again, with longer pauses, and said to be."""
    watched = Supervisor(TABLE, timing=QUICK, command=[sys.executable, "-c", "raise SystemExit(3)"])
    with caplog.at_level(logging.ERROR):
        watched.start()
        assert until(lambda: watched.restarts >= 3)
    watched.stop()
    assert not watched.ready()
    assert "ended with status 3" in caplog.text


def test_a_folder_that_is_too_deep_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the path of a socket would be too long, the cure is told at once."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ConfigError, match="set TMPDIR"):
        Supervisor(TABLE)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_the_process_ends_with_its_parent(*, frozen: bool) -> None:
    """A main process that is killed leaves no process of models behind, not even one that is frozen."""
    code = (
        "import sys, time\n"
        "from rebridge.server.models.supervisor import Supervisor\n"
        "from rebridge.server.models.table import ModelTable\n"
        "watched = Supervisor(ModelTable([]), command=[sys.executable, sys.argv[1]])\n"
        "watched.start(); watched.wait(60); print(watched.pid, flush=True); time.sleep(600)\n"
    )
    # pytest's own folders are too deep for sockets.
    with tempfile.TemporaryDirectory() as folder:
        parent = subprocess.Popen(  # noqa: S603 - Python, with our own code
            [sys.executable, "-c", code, FAKE[1]], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": folder}
        )
        assert parent.stdout is not None
        with parent.stdout:
            pid = int(parent.stdout.readline())
        if frozen:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
        parent.wait()
    assert until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_a_real_model_scores_as_in_this_process() -> None:
    """The default model, loaded in its process, gives the scores that it gives here, also to Cohere's dialect."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from rebridge.scorers import open_scorer
    from rebridge.server.rerank import rerank_router

    passages = ["Mars is a red planet.", "", "Venus is hot."]
    with open_scorer() as here:
        expected = here.raw_scores("red planet", passages)
    table = ModelTable([ServedModel("minilm", ScorerSection(), preload=True)])
    watched = Supervisor(table)
    watched.start()
    scoring = ProcessScoring(table, watched.socket)
    try:
        assert until(scoring.ready, 120)
        assert scoring.scorer(None).raw_scores("red planet", passages) == pytest.approx(expected, abs=1e-5)
        assert scoring.models()[0].memory_mb == pytest.approx(87, abs=2)
        app = FastAPI()
        app.include_router(rerank_router(scoring))
        told = TestClient(app).post("/v2/rerank", json={"query": "red planet", "documents": passages}).json()
        assert {result["index"]: result["relevance_score"] for result in told["results"]} == pytest.approx(
            dict(enumerate(expected)), abs=1e-5
        )
    finally:
        scoring.close()
        watched.stop()


def test_requests_fail_at_once_while_the_process_is_away(tmp_path: Path) -> None:
    """Without a process, models are unknown to be loaded, and nothing is ready."""
    scoring = ProcessScoring(TABLE, tmp_path / "nothing")
    assert not scoring.ready()
    assert [state.loaded for state in scoring.models()] == [False] * len(NAMES)
    with pytest.raises(ScorerError):
        scoring.scorer(None).submit("q", ["p"], deadline=time.monotonic() + 1).result()
    scoring.close()
