"""The rules that users rely on, over a real Solr, and what is special about its documents and its doors."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from rebridge.connector import load
from rebridge.errors import ConnectorError, DocumentsRefused
from rebridge_solr import CONNECTOR, Request, SolrSettings
from rebridge_solr.engine import SolrEngine

pytest.register_assert_rewrite("tests.connectors.contract")

from tests.connectors.contract import DOCUMENTS, FIELDS, Case, Contract  # noqa: E402 - after the line above


@pytest.fixture(scope="module", params=["solr", "solrcloud"])
def solr(request: pytest.FixtureRequest) -> str:
    """The address of a Solr, up to and with /solr."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address.rpartition("/")[0]


@pytest.fixture(scope="module")
def made(solr: str) -> Iterator[SolrEngine]:
    """A core or collection of this module's own, made by us."""
    index = f"rebridge_{uuid.uuid4().hex}"
    with CONNECTOR.open(SolrSettings(url=solr, index=index, fields=FIELDS), create=True) as engine:
        yield engine
    for path, params in (
        ("collections", {"action": "DELETE", "name": index}),
        ("cores", {"action": "UNLOAD", "core": index, "deleteInstanceDir": "true"}),
    ):
        requests.get(f"{solr}/admin/{path}", params=params, timeout=60)


@pytest.fixture
def case(made: SolrEngine) -> Case:
    made.delete([hit["id"] for hit in made.search(Request({"q": "*:*", "rows": 1000, "fl": "id"}))["response"]["docs"]])
    assert made.add(DOCUMENTS) == len(DOCUMENTS)
    return Case(load("solr"), made)


class TestContract(Contract):
    """Solr as one core, and as a collection."""


@pytest.mark.usefixtures("case")
class TestDocuments:
    """What goes in and comes out."""

    def test_refused_documents(self, made: SolrEngine) -> None:
        """Documents that Solr refuses are named with its reason; the rest of the batch is there."""
        documents: list[tuple[str, dict[str, Any]]] = [
            ("n1", {"title": "boot"}),
            ("n2", {"lang": ["de", "en"]}),
            ("n3", {"title": {"de": "Stiefel"}}),
            ("n4", {"_version_": 3}),
            ("n5", {"title": "boot"}),
            ("", {"title": "boot"}),
            ("n6", {"id": "another"}),
        ]
        with pytest.raises(DocumentsRefused) as raised:
            made.add(documents)
        assert sorted(raised.value.problems) == ["", "n2", "n3", "n4", "n6"]
        assert "lang" in raised.value.problems["n2"]
        assert "flat" in raised.value.problems["n3"]
        assert made.count() == len(DOCUMENTS) + 2

    def test_odd_ids(self, made: SolrEngine) -> None:
        """Ids may hold whatever Solr's query syntax gives a meaning to."""
        ids = ['a"b', "a,b", "a b", "a:b", "(a)", "a\\b", "*", "{!term}", "ü€", "<a>&"]
        assert made.add((key, {"title": f"boot {key}"}) for key in ids) == len(ids)
        for key in ids:
            assert made.get(key) == {"title": f"boot {key}"}
        assert made.delete([*ids, "nobody"]) == len(ids)
        assert made.count() == len(DOCUMENTS)

    def test_facts(self, made: SolrEngine) -> None:
        """The schema's fields are known by name and pattern, text fields as such."""
        facts = made.facts()
        assert facts.product.startswith("Solr ")
        assert facts.fields["title"] == "text"
        assert facts.fields["lang"] == "string"
        assert facts.fields["*_s"] == "string"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shoe AND", 23),
        ("shoe NOT 3", 23),
        ('"', 0),
        ("+-", 0),
        ("a:b", 0),
        ("title: shoe", 23),
        ("shoe*", 23),
        ("-shoe", 23),
        ("+boot shoe", 23),
        ("{!func}1", 1),
        ("(shoe", 23),
        ("*:*", 0),
        ("shoe~ ^ \\", 23),
        ("shoe\ud800", 23),
        ("&& || !", 0),
        ("to or not to", 0),
        ("", 0),
    ],
)
def test_plain_words_have_no_operators(case: Case, text: str, found: int) -> None:
    """Whatever somebody types is a bag of words: any of them is enough, none is a command."""
    request = CONNECTOR.request(text, fields={"title": 2.0, "text": 1.0}, offset=0, size=5, filters={})
    assert case.engine.search(request)["response"]["numFound"] == found


def test_filters(case: Case) -> None:
    """Filters take values, lists, ranges and nothing else."""

    def count(filters: dict[str, Any]) -> int:
        request = CONNECTOR.request("shoe", fields={"title": 1.0}, offset=0, size=0, filters=filters)
        total: int = case.engine.search(request)["response"]["numFound"]
        return total

    assert count({"lang": "de"}) == 15
    assert count({"lang": ["de", "en"]}) == 23
    assert count({"lang": []}) == 0
    assert count({"lang": 'd"e'}) == 0
    assert count({"id": {"gte": "d1", "lt": "d2"}}) == 11
    assert count({"id": {"gt": "d1", "lte": "d2"}}) == 11
    assert count({"id": {"gt": "d22"}}) == 7
    assert count({"lang": "de", "id": "d1"}) == 1
    for wrong in ({"lang": {"above": 3}}, {"lang": {}}, {"lang": None}, {"id": {"gt": 1, "gte": 2}}):
        with pytest.raises(ConnectorError, match=next(iter(wrong))):
            count(wrong)


def test_opening(solr: str) -> None:
    """What keeps a connection from being made is told with its cure."""
    for keys, told in (
        ({"index": "nothing_here"}, r"no core or collection 'nothing_here'.*rebridge index.*`index`"),
        ({"index": "rebridg"}, r"no core or collection"),
        ({"index": "x", "url": solr.removesuffix("/solr")}, r"`url`, which ends in /solr"),
        ({"index": "x", "url": "http://127.0.0.1:1/solr"}, r"Nothing listens .*start Solr"),
        ({"index": "x", "url": "http://nobody.invalid/solr"}, r"host .* is not known: correct `url`"),
        ({"index": "x", "url": solr.replace("http:", "https:")}, r"does not speak TLS: write http://"),
    ):
        with pytest.raises(ConnectorError, match=told):
            CONNECTOR.open(SolrSettings.model_validate({"url": solr, **keys}))
    with pytest.raises(ConnectorError, match=r"cannot be made: .*nothing.*`configset`.*solr create"):
        CONNECTOR.open(SolrSettings(url=solr, index=f"rebridge_{uuid.uuid4().hex}", configset="nothing"), create=True)
