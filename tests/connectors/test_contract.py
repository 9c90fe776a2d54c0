"""The rules that users rely on, over the engines that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rebridge.connector import load
from rebridge.testing import MemoryConnector

pytest.register_assert_rewrite(f"{__package__}.contract")

from .contract import DOCUMENTS, FIELDS, Case, Contract  # noqa: E402 - after its assertions are made to tell more


def _memory(_folder: Path) -> Case:
    connector = MemoryConnector()
    return Case(connector, connector.open(connector.settings()))  # type: ignore[arg-type]


def _tantivy(folder: Path) -> Case:
    pytest.importorskip("tantivy", reason="needs the embedded engine: pip install 'rebridge[embedded]'")
    connector = load("tantivy")
    settings = connector.settings.model_validate({"path": folder / "index", "fields": FIELDS})
    return Case(connector, connector.open(settings, create=True))


@pytest.fixture(params=[_memory, _tantivy], ids=["memory", "tantivy"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    case: Case = request.param(tmp_path)
    assert case.engine.add(DOCUMENTS) == len(DOCUMENTS)
    yield case
    case.engine.close()


class TestContract(Contract):
    """Memory and the embedded engine."""
