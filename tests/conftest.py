"""Fixtures shared by all tests."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rebridge.drivers import run, run_async
from rebridge.flow import Flow, Outcome
from rebridge.scorers.base import Scorer

# Test machines are slow and noisy: how long an example takes says nothing about our code.
settings.register_profile("rebridge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rebridge")

# Programs that a shell starts in the background ignore Ctrl-C, and so would those that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ENGINES = Path(__file__).parent / "integration"


def pytest_configure(config: pytest.Config) -> None:
    """Let workers share the processors, and with them the commands that tests start; and keep out of the user's caches.

    What is measured beside other tests is no measure for the user's searches.
    """
    if hasattr(config, "workerinput"):
        import torch

        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    caches, patch = TemporaryDirectory(prefix="rebridge-tests-"), pytest.MonkeyPatch()
    patch.setattr(
        "platformdirs.user_cache_path", lambda name: Path(os.environ.get("XDG_CACHE_HOME") or caches.name) / name
    )
    config.add_cleanup(patch.undo)
    config.add_cleanup(caches.cleanup)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests on real engines out, unless they are asked for."""
    return True if collection_path == ENGINES and not _engines_asked_for(config) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No workers for the tests on real engines: each would start engines of its own."""
    return 0 if _engines_asked_for(config) else None


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives until the end: modules and tests."""
    gc.collect()
    gc.freeze()


def _engines_asked_for(config: pytest.Config) -> bool:
    """Whether ``-m`` or a path asks for them."""
    by_mark = re.search(r"(?<!not )\bintegration\b", config.option.markexpr)
    return bool(by_mark) or any(ENGINES.name in Path(argument).parts for argument in config.args)


Drive = Callable[[Flow[Any], Callable[[Any], Any], Scorer], Outcome[Any]]


def _drive_async(flow: Flow[Any], send: Callable[[Any], Any], scorer: Scorer) -> Outcome[Any]:
    async def fetch(request: Any) -> Any:
        await asyncio.sleep(0)
        return send(request)

    return asyncio.run(run_async(flow, fetch, scorer))


@pytest.fixture(params=[run, _drive_async], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Both drivers: whatever a search does, it does under each."""
    driver: Drive = request.param
    return driver


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """(text, name of the index) -> the folder with this pipeline file."""

    def write(text: str, name: str = "docs") -> Path:
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write
