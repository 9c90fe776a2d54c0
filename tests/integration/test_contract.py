"""The rules that users rely on, over real engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import requests

from rebridge.connector import load

pytest.register_assert_rewrite("tests.connectors.contract")

from tests.connectors.contract import DOCUMENTS, FIELDS, Case, Contract  # noqa: E402 - after the line above


@pytest.fixture(params=["elasticsearch", "opensearch"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """An index of the test's own, in one shard, so that equal scores have one order."""
    url, index = request.getfixturevalue(f"{request.param}_url"), f"d_contract_{uuid.uuid4().hex}"
    connector = load(request.param)
    keys = {"hosts": url, "index": index, "fields": FIELDS, "shards": 1, "replicas": 0}
    with connector.open(connector.settings.model_validate(keys), create=True) as engine:
        assert engine.add(DOCUMENTS) == len(DOCUMENTS)
        yield Case(connector, engine)
    requests.delete(f"{url}/{index}", timeout=30)


class TestContract(Contract):
    """Elasticsearch and OpenSearch; Solr has a file of its own."""
