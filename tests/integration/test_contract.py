"""The rules that users rely on, over real engines. With ``REBRIDGE_RECORD`` set, their answers are recorded."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, nullcontext

import pytest
import requests

pytest.register_assert_rewrite("tests.connectors.contract", "tests.connectors.remote_cases")

from tests.connectors.contract import Case, Contract  # noqa: E402 - after the line above
from tests.connectors.exchanges import Recorder, Recording, serving  # noqa: E402
from tests.connectors.remote_cases import INDICES, filled, opened  # noqa: E402

RECORDS = bool(os.environ.get("REBRIDGE_RECORD"))


@pytest.fixture(scope="module")
def recordings() -> Iterator[dict[str, Recording]]:
    """The engines' recordings, which are written when all tests are through."""
    made: dict[str, Recording] = {}
    yield made
    for name, recording in made.items():
        recording.write(name)


@pytest.fixture(params=list(INDICES))
def case(request: pytest.FixtureRequest, recordings: dict[str, Recording]) -> Iterator[Case]:
    """An index of the test's own, or Solr's one core; it is made beforehand, which is not recorded."""
    name = request.param
    url = request.getfixturevalue(f"{name}_url").removesuffix("/solr/docs")
    index = INDICES[name] if RECORDS or name == "solr" else f"d_contract_{uuid.uuid4().hex}"
    _remove(name, url, index)
    with closing(opened(name, url, index, create=True)) as engine:
        product = engine.facts().product
    recorder = Recorder(url)
    with serving(recorder.answer) if RECORDS else nullcontext(url) as address, filled(name, address, index) as case:
        yield case
    _remove(name, url, index)
    if RECORDS:
        recordings.setdefault(name, Recording(product, {})).tests[request.node.name] = recorder.exchanges


def _remove(name: str, url: str, index: str) -> None:
    """Remove an index if it is there; from Solr's core, all documents."""
    if name == "solr":
        everything = {"delete": {"query": "*:*"}}
        requests.post(f"{url}/solr/{index}/update?commit=true", json=everything, timeout=60).raise_for_status()
    else:
        requests.delete(f"{url}/{index}", timeout=30)


class TestContract(Contract):
    """Elasticsearch, OpenSearch and Solr as one core; as a collection it is in a file of its own."""
