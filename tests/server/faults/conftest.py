"""An engine that is well, and both faces in front of it, which must be as well after a test as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.connectors.fake_cluster import Cluster
from tests.server.fake_engines import cluster
from tests.server.raw_upstream import Raw, listening

from .front import Front, fronted


@pytest.fixture(scope="module")
def engine() -> Iterator[Raw]:
    """Elasticsearch in memory."""
    with listening(Raw(cluster(Cluster()))) as raw:
        yield raw


@pytest.fixture(scope="module")
def shared(engine: Raw) -> Iterator[Front]:
    """The faces, for all tests of a module."""
    with fronted(engine.url, timeout_s=0.5) as served:
        yield served


@pytest.fixture
def front(shared: Front, engine: Raw) -> Iterator[Front]:
    """The faces; whatever a test did to them, the next client is answered."""
    sound = cluster(Cluster())
    engine.answer, engine.closes, engine.resets = sound, False, False
    engine.got.clear()
    yield shared
    engine.answer, engine.closes, engine.resets = sound, False, False
    assert shared.search().headers["x-rerank"].startswith("applied")
    assert shared.rerank().status_code == 200
