from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rebridge.server.folders import private_folder, sweep


def test_folders_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed server left behind goes at the next start; folders of running servers and of others stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, other = tmp_path / f"rebridge-{ended.pid}-abc", tmp_path / "rebridge-notes-1"
    for folder in (left, other):
        (folder / "configs").mkdir(parents=True)
    with private_folder() as running:
        sweep()
        assert not left.exists()
        assert other.exists()
        assert Path(running).stat().st_mode & 0o077 == 0
