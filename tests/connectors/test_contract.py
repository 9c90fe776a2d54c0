"""The rules that users rely on, over the engines that need no server, and over what the others answered once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rebridge.connector import load
from rebridge.testing import MemoryConnector

pytest.register_assert_rewrite(f"{__package__}.contract", f"{__package__}.remote_cases")

from .contract import DOCUMENTS, FIELDS, Case, Contract  # noqa: E402 - after its assertions are made to tell more
from .exchanges import Player, Recording, serving  # noqa: E402 - as above
from .remote_cases import INDICES, filled  # noqa: E402 - as above

#: Connector -> the package of its client.
CLIENTS = {"elasticsearch": "elasticsearch", "opensearch": "opensearchpy", "solr": "pysolr"}


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


class TestRecordedContract(Contract):
    """Elasticsearch, OpenSearch and Solr, as they answered once; see `tests/integration/test_contract.py`."""

    @pytest.fixture(params=list(INDICES))
    def case(self, request: pytest.FixtureRequest) -> Iterator[Case]:
        """An engine that answers what this test asked when it was recorded, and nothing else."""
        name, failures = request.param, request.session.testsfailed
        pytest.importorskip(CLIENTS[name], reason=f"needs its client: pip install 'rebridge[{name}]'")
        player = Player(Recording.read(name).tests.get(request.node.name, ()))
        try:
            with serving(player.answer) as url, filled(name, url, INDICES[name]) as case:
                yield case
        finally:  # a test that failed has not asked for everything
            player.check(ended=request.session.testsfailed == failures)
