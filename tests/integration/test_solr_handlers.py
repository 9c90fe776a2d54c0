"""Request handlers that do more by themselves than Solr's own, and a unique key that is not called id."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import pysolr
import pytest
import requests

from rebridge import PipelineConfig, wrap
from rebridge.drivers import run
from rebridge.flow import first_stage_flow, rerank_flow
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.testing import FakeScorer
from rebridge_solr import CONNECTOR, Request, SolrSettings

from .conftest import CONFIGSET
from .solr_requests import comparable

CONFIG = PipelineConfig.model_validate({"passage": {"template": "{title}"}, "rank_window": 12})
QUIET = CONFIG.model_copy(update={"annotate": "none"})
_SEARCH = "solr.SearchHandler"
HANDLERS: list[dict[str, Any]] = [
    {"name": "/shown", "class": _SEARCH, "defaults": {"fl": "price_i", "rows": 4, "echoParams": "all", "df": "title"}},
    {"name": "/scored", "class": _SEARCH, "defaults": {"fl": "title,score", "df": "title"}},
    {
        "name": "/more",
        "class": _SEARCH,
        "defaults": {"df": "title"},
        "appends": {"fl": "title", "fq": "price_i:[2 TO *]"},
    },
    {"name": "/spoken", "class": _SEARCH, "defaults": {"defType": "edismax", "qf": "title", "echoParams": "explicit"}},
    {"name": "/sorted", "class": _SEARCH, "defaults": {"sort": "price_i asc", "df": "title"}},
    {"name": "/grouped", "class": _SEARCH, "defaults": {"group": "true", "group.field": "lang", "df": "title"}},
    {"name": "/rows", "class": _SEARCH, "invariants": {"rows": 3, "df": "title"}},
    {"name": "/fields", "class": _SEARCH, "invariants": {"fl": "title,sku", "df": "title"}},
    {"name": "/tvrh", "class": _SEARCH, "defaults": {"tv": "true", "df": "title"}, "last-components": ["vectors"]},
]
RERANKED, LEFT_ALONE, REFUSED = ("shown", "scored", "more", "spoken", "tvrh"), ("sorted", "grouped"), ("rows", "fields")


@pytest.fixture(scope="module")
def address(solrcloud_url: str) -> Iterator[str]:
    """A collection of two shards with those handlers, whose unique key is ``sku``."""
    solr, name = solrcloud_url.rpartition("/")[0], f"rebridge_{uuid.uuid4().hex}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((CONFIGSET / "conf").iterdir()):
            text = path.read_text(encoding="utf-8").replace("<uniqueKey>id</", "<uniqueKey>sku</")
            archive.writestr(path.name, text.replace('<field name="id"', '<field name="sku"'))
    collections, configs = f"{solr}/admin/collections", f"{solr}/admin/configs"
    binary = {"Content-Type": "application/octet-stream"}
    requests.post(
        configs, params={"action": "UPLOAD", "name": name}, data=packed.getvalue(), headers=binary, timeout=60
    ).raise_for_status()
    create: dict[str, Any] = {"action": "CREATE", "name": name, "numShards": 2, "collection.configName": name}
    requests.get(collections, params=create, timeout=120).raise_for_status()
    component = {"name": "vectors", "class": "solr.TermVectorComponent"}
    wanted = {"add-searchcomponent": component, "add-requesthandler": HANDLERS}
    requests.post(f"{solr}/{name}/config", json=wanted, timeout=120).raise_for_status()
    documents = [{"sku": f"a{n}", "title": f"shoe {n}", "price_i": n * 7 % 20, "lang": "en"} for n in range(20)]
    requests.post(f"{solr}/{name}/update?commit=true", json=documents, timeout=60).raise_for_status()
    yield f"{solr}/{name}"
    requests.get(collections, params={"action": "DELETE", "name": name}, timeout=60)
    requests.get(configs, params={"action": "DELETE", "name": name}, timeout=60)


def wrapped(address: str, config: PipelineConfig = QUIET) -> Any:
    return wrap(pysolr.Solr(address), config, scorer=FakeScorer(lambda _, text: float(text.rsplit(maxsplit=1)[-1])))


@pytest.mark.parametrize("handler", RERANKED)
@pytest.mark.parametrize("params", [{}, {"fl": "title"}, {"fl": "*,score", "echoParams": "all"}, {"rows": 40}])
def test_what_a_handler_does_by_itself_stays(address: str, handler: str, params: dict[str, Any]) -> None:
    """Fields, page size, filters and echo of a handler are in a reranked reply as in the bare one."""
    bare, mine = pysolr.Solr(address), wrapped(address)
    asked = {"q": "shoe", "search_handler": handler, **params}
    theirs, ours = bare.search(**asked, sort="score desc"), mine.search(**asked, sort="score desc")
    assert {(count.status, count.reason) for count in mine.rebridge.counts} == {("applied", None)}
    expected, found = comparable(theirs.raw_response), comparable(ours.raw_response)
    if params.get("rows") != 40:  # other hits stand on a short page
        assert len(ours.docs) == len(theirs.docs)
        assert [sorted(hit) for hit in ours.docs] == [sorted(hit) for hit in theirs.docs]
        for part in ("hits", "termVectors"):
            expected.pop(part, None)
            found.pop(part, None)
    vectors = [part.pop("termVectors", []) for part in (expected, found)]
    assert sorted(map(str, vectors[0])) == sorted(map(str, vectors[1]))
    assert found == expected


@pytest.mark.parametrize("handler", LEFT_ALONE)
def test_order_that_a_handler_decides(address: str, handler: str) -> None:
    """A handler that sorts or groups by itself is left alone."""
    mine = wrapped(address)
    theirs, ours = (client.search("shoe", search_handler=handler) for client in (pysolr.Solr(address), mine))
    assert {count.status for count in mine.rebridge.counts} == {"bypassed"}
    assert comparable(ours.raw_response) == comparable(theirs.raw_response) if handler == "sorted" else ours.grouped


@pytest.mark.parametrize("handler", REFUSED)
def test_what_a_handler_does_not_let_change(address: str, handler: str) -> None:
    """A handler that fixes rows or fields answers the user's own request, and the reply says why."""
    theirs, ours = (
        client.search("shoe", search_handler=handler, rows=5)
        for client in (pysolr.Solr(address), wrapped(address, CONFIG))
    )
    assert ours.raw_response["_rerank"]["reason"] == "window_refused"
    assert ours.docs == theirs.docs


def test_another_unique_key(address: str) -> None:
    """Hits are known by the collection's own unique key, whatever it is called."""
    url, _, index = address.rpartition("/")
    pipeline = Pipeline("docs", CONNECTOR, PassageTemplate("{title}"), annotate="none")
    with CONNECTOR.open(SolrSettings(url=url, index=index)) as engine:
        request = CONNECTOR.request("shoe", fields={"title": 1.0}, offset=0, size=30, filters={})
        first = run(first_stage_flow(request, pipeline), engine.search)
        outcome = run(rerank_flow(request, pipeline), engine.search, FakeScorer())
        for one in (first, outcome):
            assert sorted(hit.candidate.doc_id for hit in one.page) == sorted(f"a{n}" for n in range(20))
        assert "sku" in outcome.reply["response"]["docs"][0]
        highlighted = Request({"q": "title:shoe", "rows": 2, "fl": "title", "hl": "true", "hl.fl": "title"})
        found = run(rerank_flow(highlighted, pipeline), engine.search, FakeScorer(default=1.0))
        assert list(found.reply["highlighting"]) == [hit.candidate.doc_id for hit in found.page]
        assert engine.get("a3") == {"title": "shoe 3", "price_i": 1, "lang": "en"}
        assert engine.delete(["a3"]) == 1
        assert engine.add([("a3", {"title": "shoe 3", "price_i": 1, "lang": "en"})]) == 1
        assert engine.validate("a", {"id": "another"}) is None
