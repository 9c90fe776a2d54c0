"""Reading a whole index: no document twice, none left out in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rebridge.connector import load
from rebridge.errors import ConnectorError

from .remote_cases import opened
from .standin import StandIn, serving

CLIENTS = {"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}


def page(scroll: str, *names: str, failed: int = 0) -> tuple[int, dict[str, Any]]:
    """A page of a scroll."""
    hits = [{"_id": name, "_source": {"title": name}} for name in names]
    return 200, {"_scroll_id": scroll, "_shards": {"failed": failed}, "hits": {"hits": hits}}


@pytest.fixture(params=list(CLIENTS))
def name(request: pytest.FixtureRequest) -> str:
    """An engine that scrolls."""
    pytest.importorskip(CLIENTS[request.param], reason=f"needs its client: pip install 'rebridge[{request.param}]'")
    return str(request.param)


def scan(name: str, answers: dict[str, Any], **options: Any) -> tuple[list[str], StandIn]:
    """The ids that a scan of the index ``docs`` gives, and what was asked for them."""
    headers = {"x-elastic-product": "Elasticsearch"}
    with serving(StandIn({"/": (200, {"hits": {}}), **answers}, headers)) as server:
        engine = opened(name, server.url, "docs")
        try:
            return [key for key, _ in engine.scan(["title"])], server
        finally:
            engine.close()
            options.get("asked", []).extend(server.asked)


def test_scrolling_ends(name: str) -> None:
    """A scroll goes on with the id of the last page until a page is empty, and is ended then."""
    pages = {"/docs/_search?scroll": page("s1", "a", "b"), "/_search/scroll": [page("s2", "c"), page("s3"), (200, {})]}
    found, server = scan(name, pages)
    assert found == ["a", "b", "c"]
    first, *more = [(method, json.loads(body)) for method, path, body in server.asked if "scroll" in path]
    assert first[1]["_source"] == ["title"]
    assert [(method, body["scroll_id"]) for method, body in more] == [
        ("POST", "s1"),
        ("POST", "s2"),
        ("DELETE", ["s3"]),
    ]


def test_shards_that_fail(name: str) -> None:
    """An index of which a part does not answer is an error, not a smaller index; the scroll is ended all the same."""
    asked: list[Any] = []
    pages = {"/docs/_search?scroll": page("s1", "a"), "/_search/scroll": [page("s2", "b", failed=1), (200, {})]}
    with pytest.raises(ConnectorError, match="1 shards of 'docs' do not answer"):
        scan(name, pages, asked=asked)
    assert asked[-1][0] == "DELETE"


def test_parts_of_a_collection() -> None:
    """Solr that answers for some shards only is an error too."""
    pytest.importorskip("pysolr", reason="needs its client: pip install 'rebridge[solr]'")
    partial = {"responseHeader": {"partialResults": True}, "response": {"numFound": 0, "docs": []}}
    with (
        serving(StandIn({"/solr/docs": (200, partial), "/solr/docs/schema": (200, {"uniqueKey": "id"})})) as server,
        pytest.raises(ConnectorError, match="Some shards of 'docs' do not answer"),
    ):
        list(opened("solr", server.url, "docs").scan(["title"]))


def test_more_than_one_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine gives all documents that are not deleted, however many slices they are read in."""
    index = pytest.importorskip("rebridge_tantivy.index", reason="needs: pip install 'rebridge[embedded]'")
    monkeypatch.setattr(index, "_SCANNED", 7)
    connector = load("tantivy")
    settings = connector.settings.model_validate({"path": tmp_path / "index", "fields": {"title": "text"}})
    with connector.open(settings, create=True) as engine:
        assert list(engine.scan(["title"])) == []
        engine.add((f"d{number}", {"title": f"shoe {number}"}) for number in range(20))
        engine.add((f"d{number}", {"title": f"boot {number}"}) for number in range(10, 30))
        engine.delete(["d3"])
        read = list(engine.scan(["title"]))
    assert len(read) == 29
    assert dict(read)["d12"] == {"title": "boot 12"}
    assert dict(read).keys() == {f"d{number}" for number in range(30)} - {"d3"}
