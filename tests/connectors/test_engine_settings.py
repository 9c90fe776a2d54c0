"""What the ``connector:`` sections of Elasticsearch and OpenSearch may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rebridge_elasticsearch.opening import ElasticsearchSettings
from rebridge_opensearch.opening import OpenSearchSettings
from rebridge_query_dsl.mapping import new_index

HIDDEN = "tiger"
BOTH = pytest.mark.parametrize("settings", [ElasticsearchSettings, OpenSearchSettings])


@BOTH
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("http://es", "http://es:9200"),
        ("https://es/", "https://es:443"),
        ("https://es.example.com:9243/search/", "https://es.example.com:9243/search"),
        ("http://[::1]:9201", "http://[::1]:9201"),
    ],
)
def test_addresses(settings: Any, given: str, taken: str) -> None:
    """An address gets the usual port of its scheme, and one address needs no list."""
    assert settings(hosts=given).hosts == settings(hosts=[given]).hosts == [taken]


@BOTH
@pytest.mark.parametrize("address", ["localhost:9200", "es", "ftp://es", "http://", "https://me:secret@es:9200"])
def test_bad_addresses(settings: Any, address: str) -> None:
    """What is no address is refused, and so is one that holds a password; the message shows no password."""
    with pytest.raises(ValidationError) as caught:
        settings(hosts=[address])
    assert "secret" not in caught.value.errors()[0]["msg"]


@BOTH
def test_secrets_are_not_shown(settings: Any) -> None:
    """A password never appears where settings are printed."""
    assert HIDDEN not in repr(settings(user="scott", password=HIDDEN))
    assert HIDDEN not in settings(user="scott", password=HIDDEN).model_dump_json()


@pytest.mark.parametrize(
    "given",
    [
        {"cloud_id": "x:y", "hosts": ["http://es"]},
        {"user": "me", "password": "x", "api_key": "y"},
        {"timeout_s": 0},
        {"fields": {}},
        {"fields": {"title": "words"}},
        {"shards": 0},
        {"ca_certs": "/no/such/file.crt"},
        {"hots": ["http://es"]},
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, Any]) -> None:
    """Two ways to say one thing, values out of range and unknown keys are refused."""
    with pytest.raises(ValidationError):
        ElasticsearchSettings(**given)


def test_new_index() -> None:
    """A new index gets the fields of the settings, and nothing that they do not say."""
    own = {"type": "text", "analyzer": "thai"}
    settings = OpenSearchSettings(fields={"a": "text", "b": "integer", "c": own}, analyzer="english", replicas=0)
    body = new_index(settings)
    assert body["settings"] == {"number_of_replicas": 0}
    assert body["mappings"]["properties"] == {
        "a": {"type": "text", "analyzer": "english"},
        "b": {"type": "long"},
        "c": own,
    }
