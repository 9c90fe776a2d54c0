"""Indices of the embedded engine, and wrapped clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rebridge import wrap
from rebridge.testing import FakeScorer

from .client_kinds import CONFIG, KINDS, Kind, last_first
from .fake_cluster import Cluster


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


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every kind of client."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def cluster() -> Cluster:
    """What the clients talk to."""
    return Cluster()


@pytest.fixture
def bare(kind: Kind, cluster: Cluster) -> Any:
    """A client as its user made it."""
    return kind.client(cluster)


@pytest.fixture
def client(bare: Any) -> Any:
    """The same client, wrapped."""
    return wrap(bare, CONFIG, scorer=FakeScorer(last_first))
