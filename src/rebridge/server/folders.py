"""Folders for what a server keeps while it runs. Nobody else may enter them: pipeline files can hold passwords."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir

import psutil

_PREFIX = "rebridge-"


def private_folder() -> TemporaryDirectory[str]:
    """A new folder, whose name tells the process that it belongs to."""
    return TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


def sweep() -> None:
    """Remove the folders of servers that were killed and could not do it themselves."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            rmtree(folder, ignore_errors=True)  # another user's stay
