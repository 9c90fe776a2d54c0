"""Fixtures that give real engines. See docker-compose.yml for what they are, and `scripts/engines` for their images.

Each is started when a test first asks for it and lives until the end of the session, so tests use indices of their
own. ``REBRIDGE_ELASTICSEARCH_URL`` and the like name an engine that already runs and is used instead.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.shop import DOCUMENTS, WITHOUT_PASSAGE, move_in

from . import certificates
from .engines import ROOT, Engines

CLUSTER_READY = "/_cluster/health?wait_for_status=yellow&timeout=4s"
CONFIGSET = ROOT / "scripts" / "engines.d" / "solr" / "configset"
ENGINES = pytest.StashKey[Engines]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("integration")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the engines wrote beside a test that failed on them."""
    report = yield
    engines = item.session.stash.get(ENGINES, None)
    if report.failed and engines:
        for key in engines.running:
            if {key, f"{key}_url"} & set(getattr(item, "fixturenames", ())):
                report.sections.append((f"log of {key}", engines.log(key)))
    return report


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """Starts engines; the fixtures below are the usual ways to ask for one."""
    engines = request.session.stash[ENGINES] = Engines()
    yield engines
    engines.stop()


@pytest.fixture(scope="session")
def elasticsearch_url(engines: Engines) -> str:
    """Elasticsearch without security."""
    return engines.given("elasticsearch") or engines.start("elasticsearch", "elasticsearch", CLUSTER_READY)


@pytest.fixture(scope="session")
def elasticsearch8_url(engines: Engines) -> str:
    """The last Elasticsearch 8, which today's client does not talk to and many people run."""
    return engines.given("elasticsearch8") or engines.start("elasticsearch8", "elasticsearch8", CLUSTER_READY)


@dataclass(frozen=True)
class Secured:
    """An engine behind TLS and a password."""

    url: str
    user: str
    password: str
    ca: Path


@pytest.fixture(scope="session")
def elasticsearch_tls(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """Elasticsearch with TLS, a certificate authority of its own and a password."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates.make(folder)
    user, password, ca = "elastic", "correct horse", folder / "ca.crt"
    url = engines.start(
        "elasticsearch_tls",
        "elasticsearch",
        CLUSTER_READY,
        scheme="https",
        environment={
            "ELASTIC_PASSWORD": password,
            "xpack.security.enabled": "true",
            "xpack.security.http.ssl.enabled": "true",
            "xpack.security.http.ssl.key": "certs/http.key",
            "xpack.security.http.ssl.certificate": "certs/http.crt",
        },
        files=[(folder / name, f"/usr/share/elasticsearch/config/certs/{name}") for name in ("http.key", "http.crt")],
        auth=(user, password),
        verify=str(ca),
    )
    return Secured(url, user, password, ca)


@pytest.fixture(scope="session")
def opensearch_url(engines: Engines) -> str:
    """OpenSearch without security."""
    return engines.given("opensearch") or engines.start("opensearch", "opensearch", CLUSTER_READY)


@pytest.fixture(scope="session")
def opensearch_ml_url(engines: Engines) -> str:
    """OpenSearch with remote models, which can call a rerank server on 127.0.0.1."""
    return engines.given("opensearch_ml") or engines.start(
        "opensearch_ml", "opensearch-ml", CLUSTER_READY, on_host_network=True
    )


@pytest.fixture(scope="session")
def solr_url(engines: Engines) -> str:
    """A Solr core. `scripts/engines.d/solr/configset` is its schema: title, text and dynamic fields (*_s, *_i ...)."""
    if given := engines.given("solr"):
        return given
    files = [(CONFIGSET, "/")]
    return engines.start("solr", "solr", "/solr/docs/select?q=*:*&rows=0", files=files) + "/solr/docs"


@pytest.fixture(scope="session")
def solrcloud_url(engines: Engines) -> str:
    """A collection of two shards on one SolrCloud node with its own ZooKeeper, with the schema of `solr_url`."""
    if given := engines.given("solrcloud"):
        return given
    import requests

    command = ["solr-foreground", "-c"]
    ready = "/solr/admin/collections?action=CLUSTERSTATUS"
    # ZooKeeper tells clients the address that the node knows of itself.
    address = engines.start("solrcloud", "solr", ready, command=command, on_host_network=True)
    solr = f"{address}/solr"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((CONFIGSET / "conf").iterdir()):
            archive.write(path, path.name)
    upload = {"action": "UPLOAD", "name": "rebridge"}
    binary = {"Content-Type": "application/octet-stream"}
    create = {"action": "CREATE", "name": "docs", "numShards": "2", "collection.configName": "rebridge"}
    for reply in (
        requests.post(f"{solr}/admin/configs", params=upload, data=packed.getvalue(), headers=binary, timeout=60),
        requests.get(f"{solr}/admin/collections", params=create, timeout=120),
    ):
        assert reply.ok, reply.text
    return f"{solr}/docs"


@pytest.fixture(scope="session")
def zookeeper_address(solrcloud_url: str) -> str:
    """Where the ZooKeeper of `solrcloud_url` is."""
    import requests

    reply = requests.get(solrcloud_url.rpartition("/")[0] + "/admin/info/system", timeout=30)
    address: str = reply.json()["zkHost"]
    return address


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a file of documents."""
    return move_in(tmp_path, monkeypatch, [*DOCUMENTS, WITHOUT_PASSAGE])
