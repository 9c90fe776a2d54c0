"""What both commands of `rebridge native` have in common, on stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("elasticsearch", reason="needs the client: pip install 'rebridge[elasticsearch]'")
pytest.importorskip("opensearchpy", reason="needs the client: pip install 'rebridge[opensearch]'")

from tests.connectors.native_engines import FakeElasticsearch, FakeOpenSearch
from tests.connectors.standin import serving

from .native_commands import elasticsearch, opensearch, rebridge


@pytest.fixture
def amazon() -> Iterator[FakeOpenSearch]:
    """An OpenSearch."""
    with serving(FakeOpenSearch()) as engine:
        yield engine  # type: ignore[misc]


@pytest.fixture
def elastic() -> Iterator[FakeElasticsearch]:
    """An Elasticsearch."""
    with serving(FakeElasticsearch()) as engine:
        yield engine  # type: ignore[misc]


def test_a_dry_run_prints_requests(
    amazon: FakeOpenSearch, elastic: FakeElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be written is one JSON array, with the variable's name in the place of the key."""
    monkeypatch.setenv("KEY", "sesame")
    for done, engine in (
        (opensearch(amazon, "--dry-run", "--api-key-env", "KEY"), amazon),
        (elasticsearch(elastic, "--dry-run", "--api-key-env", "KEY"), elastic),
    ):
        assert done.exit_code == 0, done.exception
        printed = json.loads(done.output)
        assert all(set(request) == {"method", "url", "body"} for request in printed)
        assert all(request["url"].startswith(f"{engine.url}/") for request in printed)
        assert "${KEY}" in done.output
        assert "sesame" not in done.output
        assert not engine.written()


def test_how_to_get_into_the_engine(
    amazon: FakeOpenSearch, elastic: FakeElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and password, or Elasticsearch's API key, come from the environment, and no message shows them."""
    monkeypatch.setenv("REBRIDGE_ENGINE__USER", "me")
    monkeypatch.setenv("REBRIDGE_ENGINE__PASSWORD", "tiger")
    amazon.broken["GET", "/"] = (401, {})
    failed = opensearch(amazon)
    assert amazon.credentials[-1] == "Basic bWU6dGlnZXI="
    assert "does not let the user 'me' in" in str(failed.exception)
    assert "tiger" not in str(failed.exception)
    monkeypatch.delenv("REBRIDGE_ENGINE__USER")
    monkeypatch.delenv("REBRIDGE_ENGINE__PASSWORD")
    monkeypatch.setenv("REBRIDGE_ENGINE__API_KEY", "abc")
    rebridge("remove", "elasticsearch", "--url", elastic.url, "--inference-id", "b")
    assert elastic.credentials[-1] == "ApiKey abc"
    monkeypatch.setenv("REBRIDGE_ENGINE__CA_CERTS", "/absent.pem")
    unusable = opensearch(amazon)
    assert "REBRIDGE_ENGINE__CA_CERTS" in str(unusable.exception)
    assert "REBRIDGE_ENGINE__API_KEY" in str(unusable.exception)
    assert "abc" not in str(unusable.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--server", "bridge:8080"], "--server"),
        (["--server", "http://me:tiger@bridge:8080"], "--server"),
        (["--server", "http://bridge:8080?x=1"], "--server"),
        (["--api-key-env", "ABSENT"], "'ABSENT'"),
        (["--url", "localhost"], "--url"),
    ],
)
def test_options_that_cannot_be_used(amazon: FakeOpenSearch, options: list[str], message: str) -> None:
    """An address without its scheme, or with what does not belong there, and a variable that is not set, are told."""
    done = opensearch(amazon, *options)
    assert done.exit_code
    assert message in done.output + str(done.exception)
    assert "tiger" not in done.output
    assert not amazon.written()


@pytest.mark.parametrize("package", ["rebridge_opensearch.native", "rebridge_elasticsearch.native"])
def test_templates_can_be_read_by_people_too(package: str) -> None:
    """Every template is JSON, and the README beside it names it."""
    folder = Path(str(files(package)))
    readme = (folder / "README.md").read_text()
    for path in sorted(folder.glob("*.json")):
        json.loads(path.read_text())
        assert path.name in readme
