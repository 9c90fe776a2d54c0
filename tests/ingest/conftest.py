"""Fixtures of the ingest's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .workplace import Workplace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A place without a source yet."""
    return Workplace(tmp_path)
