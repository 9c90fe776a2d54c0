"""Indices of the embedded engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def _filled(folder: Path) -> Any:
    # Late, so that other connectors' tests run without the embedded engine.
    from .shop import FIELDS, SHOP, open_at

    index = open_at(folder, create=True, fields=FIELDS)
    index.add(SHOP)
    return index


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """A shop of the test's own."""
    return _filled(tmp_path / "shop")


@pytest.fixture(scope="module")
def one_shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shop that nobody changes."""
    return _filled(tmp_path_factory.mktemp("i") / "shop")
