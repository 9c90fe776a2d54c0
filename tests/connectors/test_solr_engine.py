"""How Solr is found and asked, on servers that answer as Solr does, or do not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rebridge.connector import load
from rebridge.errors import BadReply, ConnectorError
from rebridge_solr import CONNECTOR, Request, SolrSettings
from rebridge_solr.dates import with_dates
from rebridge_solr.plain_words import escaped

from .standin import StandIn, serving

EMPTY = {"response": {"numFound": 0, "start": 0, "docs": []}}


def opened(standin: StandIn, *, create: bool = False, **keys: Any) -> Any:
    settings = SolrSettings.model_validate({"url": f"{standin.url}/solr", "index": "shop", **keys})
    return CONNECTOR.open(settings, create=create)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, "<html>Welcome</html>", r"does not answer as Solr does: correct `url`"),
        (200, {"hits": {"hits": []}}, r"does not answer as Solr does: correct `url`"),
        (200, [], r"solr answered, but not with a search reply"),
        (401, "<html>Unauthorized</html>", r"does not let the user 'ann' in \(401\): correct `user` and `password`"),
        (403, {"error": {"msg": "forbidden words"}}, r"user 'ann' may not do this .*'shop'.*forbidden words"),
        (500, {"error": {"msg": "out of memory"}}, r"failed \(500\), see its log.*out of memory"),
        (502, "<html>Bad gateway</html>", r"A proxy .* cannot reach Solr \(502\): start Solr"),
        (503, {"error": {"msg": "no servers hosting shard"}}, r"shards that are not available.*no servers"),
        (418, {"error": {"msg": "teapot"}}, r"refuses this with status 418: teapot"),
        (418, "<html>teapot</html>", r"Status 418\. .*does not answer as Solr does"),
    ],
)
def test_what_keeps_it_from_opening(status: int, body: Any, told: str) -> None:
    """Whatever is wrong with an address or a user is told with its cure, and no password with it."""
    with (
        serving(StandIn({"/solr/shop": (status, body)})) as standin,
        pytest.raises(ConnectorError, match=told) as raised,
    ):
        opened(standin, user="ann", password="secret words")  # noqa: S106 - not one of anybody's
    assert "secret words" not in str(raised.value)


def test_no_answer_in_time() -> None:
    """An engine that gives no answer in time is told so."""
    with (
        serving(StandIn({"/": (200, EMPTY)}, delay_s=5)) as standin,
        pytest.raises(ConnectorError, match="no answer in time: start Solr"),
    ):
        opened(standin, timeout_s=0.1)


@pytest.mark.parametrize("mode", ["std", "solrcloud"])
def test_names_that_are_near(mode: str) -> None:
    """A core that is missing is told with those that have a similar name."""
    answers = {
        "/solr/shop": (404, "<html>Can not find: /solr/shop</html>"),
        "/solr/admin/info/system": (200, {"mode": mode}),
        "/solr/admin/cores": (200, {"status": {"shops": {}, "books": {}}}),
        "/solr/admin/collections": (200, {"collections": ["shops", "books"]}),
    }
    with serving(StandIn(answers)) as standin, pytest.raises(ConnectorError, match=r"Did you mean 'shops'\?"):
        opened(standin)
    answers["/solr/admin/cores"] = answers["/solr/admin/collections"] = (403, "<html>no</html>")
    with (
        serving(StandIn(answers)) as standin,
        pytest.raises(ConnectorError, match=r"no core or collection 'shop'\. Make"),
    ):
        opened(standin)


def test_fields_of_an_existing_core() -> None:
    """An index that is filled gets the fields that neither a name nor a pattern of its schema covers."""
    answers = {
        "/solr/shop/select": (200, EMPTY),
        "/solr/shop/schema/fields": (200, {"fields": [{"name": "title", "type": "text_de"}]}),
        "/solr/shop/schema/dynamicfields": (200, {"dynamicFields": [{"name": "*_i", "type": "pint"}]}),
        "/solr/admin/info/system": (200, {"mode": "std"}),
        "/solr/shop/schema": (200, {}),
    }
    fields = {"title": "text", "text": "text", "tags": "keyword", "price_i": "integer"}
    with serving(StandIn(answers)) as standin:
        opened(standin, create=True, fields=fields).close()
        (sent,) = [json.loads(body) for method, _, body in standin.asked if method == "POST"]
        standin.answers = {**answers, "/solr/shop/schema": (400, {"error": {"msg": "schema is not editable"}})}
        with pytest.raises(ConnectorError, match=r"not editable.*add them yourself, and run the same command again"):
            opened(standin, create=True, fields=fields)
        standin.answers = {**answers, "/solr/shop/schema/fields": (403, {"error": {"msg": "not yours"}})}
        opened(standin, create=True, fields=fields).close()
    assert sent == {
        "add-field": [
            {"name": "text", "type": "text_general", "multiValued": True},
            {"name": "tags", "type": "string", "multiValued": True},
        ]
    }


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2018-03-01", "2018-03-01T00:00:00Z"),
        ("2018-03-01 10:30", "2018-03-01T10:30:00Z"),
        ("2018-03-01T10:30:00-05:00", "2018-03-01T15:30:00Z"),
        ("2018-03-01T10:30:00.123456789Z", "2018-03-01T10:30:00.123456789Z"),
        ("2018-02-30", "2018-02-30"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00"),
        ("NOW/DAY", "NOW/DAY"),
    ],
)
def test_dates(given: str, written: str) -> None:
    """ISO 8601 is written in Solr's form, in UTC if it says no zone; what is none stays for Solr to judge."""
    schema = {"on": True, "on_s": False, "*_dt": True, "*": False}
    document = {"on": given, "on_s": given, "at_dt": [given, given], "other": given}
    assert with_dates(document, schema) == {"on": written, "on_s": given, "at_dt": [written] * 2, "other": given}


def test_users_and_passwords_are_sent() -> None:
    """Every request carries the user's name and password."""
    with serving(StandIn({"/": (200, EMPTY)})) as standin:
        engine = opened(standin, user="ann", password="secret words")  # noqa: S106 - as above
        engine.search(Request({"q": "shoe", "fl": ["a", "b"]}, {"limit": 3}, handler="products"))
        engine.close()
        engine.close()
    assert engine._client.auth == ("ann", "secret words")
    assert standin.asked[-1][1].startswith("/solr/shop/products/?q=shoe&")
    assert "json=%7B%22limit%22%3A+3%7D" in standin.asked[-1][1]


def test_a_request_without_a_query() -> None:
    """A request that has no query is sent without one."""
    with serving(StandIn({"/": (200, EMPTY)})) as standin, opened(standin) as engine:
        engine.search(Request({}, {"query": "shoe"}))
    assert "q=" not in standin.asked[-1][1].replace("json=", "")


def test_replies_that_are_none() -> None:
    """A reply that is no object is an error that shows it."""
    answers = {"/solr/shop/select": (200, EMPTY), "/solr/shop/odd": (200, [1])}
    with serving(StandIn(answers)) as standin, opened(standin) as engine, pytest.raises(BadReply, match=r"\[1\]"):
        engine.search(Request({"q": "shoe"}, handler="odd"))


def test_checks() -> None:
    """An empty core, and one that does not answer any more, are problems with cures."""
    standin = StandIn({"/solr/shop/select": (200, EMPTY), "/solr/shop/schema": (200, {"uniqueKey": "id"})})
    with serving(standin), opened(standin) as engine:
        assert engine.check() == ["'shop' is empty: add documents with `rebridge index`."]
        standin.answers = {"/": (503, {"error": {"msg": "gone"}})}
        (problem,) = engine.check()
        assert "not available" in problem
        standin.answers = {"/": (200, {"response": {"numFound": 3, "docs": []}})}
        (problem,) = engine.check()
        assert "has no uniqueKey" in problem
        standin.answers = {"/": (200, {"response": {"numFound": 3, "docs": []}}), "/solr/shop/schema": (403, "no")}
        assert engine.check() == []


@pytest.mark.parametrize(
    ("doc_id", "fields", "problem"),
    [
        ("a", {"title": "x", "tags": ["a", "b"], "n": 1, "none": None}, None),
        ("", {}, "id is empty"),
        ("x" * 40_000, {}, "longer than 32,766 bytes"),
        ("a\ud800", {}, "cannot be written as JSON"),
        ("a", {"title": "\ud800"}, "cannot be written as JSON"),
        ("a", {"title": float("nan")}, "cannot be written as JSON"),
        ("a", {"title": object()}, "cannot be written as JSON"),
        ("a", {"_version_": 1}, "keeps the name '_version_'"),
        ("a", {"id": "b"}, "'id', which is the core's unique key"),
        ("a", {"id": "a"}, None),
        ("a", {"author": {"name": "x"}}, "'author' holds an object"),
        ("a", {"authors": [["x"], [{"name": "x"}]]}, "'authors' holds an object"),
    ],
)
def test_documents_that_no_core_would_take(doc_id: str, fields: Any, problem: str | None) -> None:
    """What keeps a document out of any Solr is known before it is sent."""
    standin = StandIn({"/solr/shop/select": (200, EMPTY), "/solr/shop/schema": (200, {"uniqueKey": "id"})})
    with serving(standin), opened(standin) as engine:
        found = engine.validate(doc_id, fields)
    assert found is None if problem is None else problem in found


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"url": "localhost:8983/solr"}, "like http://localhost:8983/solr, with its scheme"),
        ({"url": "http://ann:secret@localhost/solr"}, "must not hold user and password"),
        ({"index": ""}, "at least 1"),
        ({"core": "shop"}, "core"),
        ({"timeout_s": 0}, "greater than 0"),
        ({"fields": {"title": "words"}}, "fields"),
        ({"ca_certs": "/nowhere/ca.crt"}, "ca_certs"),
    ],
)
def test_settings_that_cannot_be(keys: dict[str, Any], told: str) -> None:
    """Keys that cannot be used are refused by name."""
    with pytest.raises(ValidationError, match=told):
        SolrSettings.model_validate(keys)


def test_settings() -> None:
    """The connector is found by its name, and its settings show no password."""
    settings = load("solr").settings.model_validate(
        {"url": "http://h:1/solr/", "index": "a", "password": "secret words"}
    )
    assert settings.address == "http://h:1/solr/a"  # type: ignore[attr-defined]
    assert "secret words" not in repr(settings)


def test_plain_words() -> None:
    """A request for words names everything that a handler could decide otherwise, and the words for the scorer."""
    request = CONNECTOR.request(
        "red (shoe", fields={"title": 2.5, "text": 1}, offset=20, size=5, filters={"lang": "de"}
    )
    params = request.params
    assert (params["q"], params["qf"], params["defType"]) == (r"red \(shoe", "title^2.5 text^1", "edismax")
    assert (params["start"], params["rows"], params["sort"], params["fl"]) == (20, 5, "score desc", "*,score")
    assert params["fq"] == ['lang:("de")']
    asked = CONNECTOR.read(request)
    assert (asked.query_text, asked.explicit, asked.offset, asked.size) == ("red (shoe", True, 20, 5)
    assert "qf" not in CONNECTOR.request("shoe", fields={}, offset=0, size=1, filters={}).params


@given(st.text())
def test_escaping(text: str) -> None:
    """Escaped text holds its words, and no operator that is not escaped."""
    found = escaped(text)
    assert found.encode().decode() == found
    assert found.replace("\\", "") == text.encode("utf-8", "replace").decode().replace("\\", "")
    assert not {"AND", "OR", "NOT"} & set(found.split())


def test_clients_are_needed_late() -> None:
    """The translator works without pysolr and httpx; what needs them says how to install them."""
    program = (
        "import sys; sys.modules['pysolr'] = sys.modules['httpx'] = None\n"
        "import rebridge_solr\n"
        "from rebridge.errors import MissingExtra\n"
        "assert rebridge_solr.CONNECTOR.read(rebridge_solr.Request({'q': 'shoe'})).query_text == 'shoe'\n"
        "def opening(): rebridge_solr.CONNECTOR.open(rebridge_solr.SolrSettings())\n"
        "def awaiting(): rebridge_solr.AsyncSolr\n"
        "for use in (opening, awaiting):\n"
        "    try: use()\n"
        "    except MissingExtra as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert told.stdout.count("pip install 'rebridge[solr]'") == 2
