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


#: The fields of the contract, and some that only this module needs.
WANTED: Any = {**FIELDS, "tags": "keyword", "year": "integer", "day": "date", "new": "boolean"}


@pytest.fixture(scope="module")
def made(solr: str) -> Iterator[SolrEngine]:
    """A collection of this module's own, made by us; or the one core, which has its own schema."""
    cloud = requests.get(f"{solr}/admin/info/system", timeout=60).json()["mode"] == "solrcloud"
    index = f"rebridge_{uuid.uuid4().hex}" if cloud else "docs"
    with CONNECTOR.open(SolrSettings(url=solr, index=index, fields=WANTED), create=True) as engine:
        yield engine
        if not cloud:
            engine._client.delete(q="*:*", commit=True)
            new = [{"name": name} for name in WANTED if name not in FIELDS]
            requests.post(f"{solr}/docs/schema", json={"delete-field": new}, timeout=60).raise_for_status()
    if cloud:
        params = {"action": "DELETE", "name": index}
        requests.get(f"{solr}/admin/collections", params=params, timeout=60).raise_for_status()


@pytest.fixture
def case(made: SolrEngine) -> Case:
    made.delete([hit["id"] for hit in made.search(Request({"q": "*:*", "rows": 1000, "fl": "id"}))["response"]["docs"]])
    assert made.add(DOCUMENTS) == len(DOCUMENTS)
    return Case(load("solr"), made)


@pytest.mark.parametrize("solr", ["solrcloud"], indirect=True)
class TestContract(Contract):
    """Solr as a collection; as one core it is in `test_contract.py`."""


@pytest.mark.usefixtures("case")
class TestDocuments:
    """What goes in and comes out."""

    def test_refused_documents(self, made: SolrEngine) -> None:
        """Documents that Solr refuses are named with its reason; the rest of the batch is there."""
        documents: list[tuple[str, dict[str, Any]]] = [
            ("n1", {"title": "boot"}),
            ("n2", {"year": "soon"}),
            ("n3", {"title": {"de": "Stiefel"}}),
            ("n4", {"_version_": 3}),
            ("n5", {"title": "boot"}),
            ("", {"title": "boot"}),
            ("n6", {"id": "another"}),
        ]
        with pytest.raises(DocumentsRefused) as raised:
            made.add(documents)
        assert sorted(raised.value.problems) == ["", "n2", "n3", "n4", "n6"]
        assert "year" in raised.value.problems["n2"]
        assert "flat" in raised.value.problems["n3"]
        assert made.count() == len(DOCUMENTS) + 2

    def test_lists(self, made: SolrEngine) -> None:
        """A field that we added takes one value and several, and gives back what went in."""
        several = {"title": "boot", "tags": ["red", "warm"], "year": [2020, 2021], "new": [True, False]}
        single = {"title": "boot", "tags": "red", "year": 2020, "new": True}
        assert made.add([("several", several), ("single", single)]) == 2
        assert made.get("several") == several
        assert made.get("single") == single

    def test_dates(self, made: SolrEngine) -> None:
        """Dates and times of ISO 8601 are in Solr's form in fields of dates, and stay text in others."""
        days = ["2018-03-01", "2018-03-01T10:30", "2018-03-01T10:30:00+02:00", "2018-03-01T10:30:00.5Z"]
        assert made.add((f"day{n}", {"day": day, "tags": day}) for n, day in enumerate(days)) == len(days)
        assert [made.get(f"day{n}") for n in range(len(days))] == [
            {"day": "2018-03-01T00:00:00Z", "tags": days[0]},
            {"day": "2018-03-01T10:30:00Z", "tags": days[1]},
            {"day": "2018-03-01T08:30:00Z", "tags": days[2]},
            {"day": "2018-03-01T10:30:00.500Z", "tags": days[3]},
        ]
        request = CONNECTOR.request("shoe", fields={}, offset=0, size=1, filters={"day": "2018-03-01"})
        with pytest.raises(ConnectorError, match="write 2018-03-01T00:00:00Z"):
            made.search(request)

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


def test_a_core_is_never_made(solr_url: str) -> None:
    """A new core would share its schema with others: the command that makes one with its own is told instead."""
    solr = solr_url.rpartition("/")[0]
    told = r"no core 'new_one'.*`docker exec NAME solr create -c new_one`, or `bin/solr create -c new_one`.*again"
    with pytest.raises(ConnectorError, match=told):
        CONNECTOR.open(SolrSettings(url=solr, index="new_one", fields=FIELDS), create=True)
    assert "new_one" not in requests.get(f"{solr}/admin/cores", timeout=60).json()["status"]


@pytest.mark.parametrize("configset", ["_default", "rebridge"])
def test_a_collection_has_a_configset_of_its_own(solrcloud_url: str, configset: str) -> None:
    """Fields go into a copy of the configset, which ends with the collection; a shared one is left as it is."""
    solr, index, other = solrcloud_url.rpartition("/")[0], f"a_{uuid.uuid4().hex}", f"b_{uuid.uuid4().hex}"

    def admin(path: str, **params: str) -> Any:
        reply = requests.get(f"{solr}/admin/{path}", params=params, timeout=120)
        reply.raise_for_status()
        return reply.json()

    with pytest.raises(ConnectorError, match=r"cannot be made: .*nothing.*`configset`.*solr create"):
        CONNECTOR.open(SolrSettings(url=solr, index=index, configset="nothing"), create=True)
    settings = SolrSettings(url=solr, index=index, fields={"colour_of_it": "keyword", "price_i": "integer"})
    settings = settings.model_copy(update={"configset": configset})
    CONNECTOR.open(settings, create=True).close()
    create = {"action": "CREATE", "name": other, "numShards": "1", "collection.configName": "_default"}
    admin("collections", **create)
    try:
        assert f"{index}.AUTOCREATED" in admin("configs", action="LIST")["configSets"]
        field = requests.get(f"{solr}/{index}/schema/fields/colour_of_it", timeout=60).json()["field"]
        assert field == {"name": "colour_of_it", "type": "string", "multiValued": True}
        assert requests.get(f"{solr}/{index}/schema/fields/price_i", timeout=60).status_code == 404
        with pytest.raises(ConnectorError, match=r"lacks the fields colour_of_it, .*'_default' is not its own"):
            CONNECTOR.open(settings.model_copy(update={"index": other}), create=True)
        assert requests.get(f"{solr}/{other}/schema/fields/colour_of_it", timeout=60).status_code == 404
    finally:
        for name in (index, other):
            admin("collections", action="DELETE", name=name)
    assert f"{index}.AUTOCREATED" not in admin("configs", action="LIST")["configSets"]
