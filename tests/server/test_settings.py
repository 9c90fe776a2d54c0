"""The server's settings: what is read, what overrides it, and what a mistake is answered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from rebridge.errors import ConfigError
from rebridge.server.settings import ServerSettings, address, changed, is_local, json_schema, load_settings

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "server.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_without_a_file() -> None:
    """Every key has a default, and the default can be reached from this machine only."""
    settings = load_settings()
    assert settings == ServerSettings()
    assert is_local(settings.listen)


def test_all_is_read(write: Write, tmp_path: Path) -> None:
    """Nested keys and lists end up in the settings."""
    pem = tmp_path / "pem"
    pem.touch()
    settings = load_settings(
        write(
            f"""
            listen: "[::1]:9000"
            proxies:
              - {{engine: elasticsearch, url: "https://es:9200/", listen: "0.0.0.0:9280", verify: false, timeout_s: 5}}
            models:
              small: {{model: sentence-transformers/all-MiniLM-L6-v2, device: cpu, also: [rerank-v3.5], preload: false}}
            default_model: small
            memory_budget_mb: 2000
            workers: 3
            api_keys: [one, two]
            tls: {{certificate: {pem}, key: {pem}}}
            limits: {{body_mb: 1.5, documents: 10, queue: 2, drain_s: 3}}
            log: {{format: json, level: debug}}
            """
        )
    )
    proxy, model = settings.proxies[0], settings.models["small"]
    assert (proxy.url, proxy.verify, proxy.timeout_s, proxy.connections) == ("https://es:9200", False, 5, 100)
    assert (model.device, list(model.also), model.preload) == ("cpu", ["rerank-v3.5"], False)
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert (settings.limits.body_mb, settings.limits.drain_s, settings.log.format) == (1.5, 3, "json")
    assert settings.tls is not None
    assert settings.tls.key == pem


def test_environment_overrides_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key can be set from outside, its neighbours in the file stay; lists are JSON."""
    file = write("limits: {queue: 5, documents: 6}\nlisten: 127.0.0.1:1")
    monkeypatch.setenv("REBRIDGE_SERVER__LIMITS__QUEUE", "7")
    monkeypatch.setenv("REBRIDGE_SERVER__API_KEYS", '["k"]')
    settings = load_settings(file)
    assert (settings.limits.queue, settings.limits.documents, settings.listen) == (7, 6, "127.0.0.1:1")
    assert settings.api_keys[0].get_secret_value() == "k"


def test_flags_override_all() -> None:
    """What a flag gives replaces the value, what it does not give stays, and the result is checked."""
    settings = changed(ServerSettings(workers=2), listen="127.0.0.1:9", workers=None)
    assert (settings.listen, settings.workers) == ("127.0.0.1:9", 2)
    with pytest.raises(ValidationError, match="HOST:PORT"):
        changed(settings, listen="nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lisetn: x", "server.yaml:1: lisetn: unknown key 'lisetn'. Did you mean 'listen'?"),
        ("\nlimits: {bdy_mb: 3}", "server.yaml:2: limits.bdy_mb: unknown key 'bdy_mb'. Did you mean 'body_mb'?"),
        ("listen: 8080", "server.yaml:1: listen: Input should be a valid string, not 8080."),
        ("listen: localhost", "'localhost' is no HOST:PORT, like 127.0.0.1:8080"),
        ("listen: http://localhost:1", "is no HOST:PORT"),
        ("listen: localhost:99999", "is no HOST:PORT"),
        ("proxies:\n  - {engine: solar}", "server.yaml:2: proxies.0.engine: Input should be 'elasticsearch'"),
        (
            "proxies:\n  - engine: solr\n    ulr: x",
            "server.yaml:3: proxies.0.ulr: unknown key 'ulr'. Did you mean 'url'?",
        ),
        ("proxies: [{engine: solr, listen: 'a:1', url: 'ftp://x'}]", "like http://localhost:9200"),
        ("proxies: [{engine: solr, listen: 'a:1', url: 'http://x?y'}]", "no ? and no #"),
        ("models: {small: {modle: x}}", "models.small.modle: unknown key 'modle'. Did you mean 'model'?"),
        ("tls: {certificate: nowhere.pem, key: nowhere.pem}", "tls.certificate: Path does not point to a file"),
        ("listen: 127.0.0.1:1\nproxies: [{engine: solr, url: 'http://x', listen: 'b:1'}]", "have the same port"),
        ("workers: 0", "server.yaml:1: workers: Input should be greater than or equal to 1, not 0."),
    ],
)
def test_mistakes(write: Write, text: str, message: str) -> None:
    """A mistake is named with file, line, key and cure, as in pipeline files."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "api_keys: [{s3cret: 1}]",
        "api_keys: s3cret",
        'api_keys: ["s3cret ä"]',
        "proxies: [{engine: solr, url: 'http://user:s3cret@x', listen: 'b:1'}]",
        "models: {m: {token: [s3cret]}}",
    ],
)
def test_secrets_stay_secret(write: Write, text: str) -> None:
    """A mistake in a secret is told without it."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(text))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKERS", "many"), ("WROKERS", "5"), ("PROXIES", '[{"engine": "solr", "url": "http://x"}]'), ("LIMITS__Q", "5")],
)
def test_mistakes_in_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A wrong or misspelt variable is named, not ignored."""
    monkeypatch.setenv(f"REBRIDGE_SERVER__{name}", value)
    with pytest.raises(ConfigError, match=f"environment variable REBRIDGE_SERVER__{name}"):
        load_settings()


def test_a_settings_object_shows_no_key() -> None:
    """Whoever prints the settings prints no secret."""
    assert "s3cret" not in repr(ServerSettings.model_validate({"api_keys": ["s3cret"]}))


@pytest.mark.parametrize(
    ("listen", "expected", "local"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080), True),
        ("[::1]:0", ("::1", 0), True),
        ("0.0.0.0:80", ("0.0.0.0", 80), False),  # noqa: S104 - what is tested
        ("search.example:1", ("search.example", 1), False),
        ("localhost.example:1", ("localhost.example", 1), False),
        ("127.example:1", ("127.example", 1), False),
    ],
)
def test_addresses(listen: str, expected: tuple[str, int], local: bool) -> None:  # noqa: FBT001 - a parameter
    """A host and a port are told apart, and whether others can reach them."""
    assert address(listen) == expected
    assert is_local(listen) is local


def test_the_schema_fits(write: Write) -> None:
    """What the JSON Schema allows is what the settings take."""
    good = {"listen": "a:1", "proxies": [{"engine": "solr", "url": "http://x", "listen": "b:2"}], "models": {"m": {}}}
    jsonschema.validate(good, json_schema())
    assert load_settings(write(yaml.safe_dump(good))).proxies[0].engine == "solr"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"lisetn": "a:1"}, json_schema())
