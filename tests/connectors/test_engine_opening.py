"""Opening an index of Elasticsearch or OpenSearch where something is wrong: each time a message with the cure."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from rebridge.errors import ConnectorError, DocumentsRefused
from rebridge.remote import EngineError
from rebridge_query_dsl.request import Request

from .standin import StandIn, serving

pytest.importorskip("elasticsearch", reason="needs the client: pip install 'rebridge[elasticsearch]'")
pytest.importorskip("opensearchpy", reason="needs the client: pip install 'rebridge[opensearch]'")

from rebridge_elasticsearch.opening import ElasticsearchSettings, open_elasticsearch
from rebridge_opensearch.opening import OpenSearchSettings, open_opensearch

HIDDEN = "tiger"
Open = Callable[..., Any]
ELASTIC = {"x-elastic-product": "Elasticsearch"}
EMPTY = {"took": 1, "hits": {"total": {"value": 0, "relation": "eq"}, "max_score": None, "hits": []}}


def _elasticsearch(url: str, *, create: bool = False, **settings: Any) -> Any:
    return open_elasticsearch(ElasticsearchSettings(hosts=[url], index="docs", **settings), create=create)


def _opensearch(url: str, *, create: bool = False, **settings: Any) -> Any:
    return open_opensearch(OpenSearchSettings(hosts=[url], index="docs", **settings), create=create)


@pytest.fixture(params=[_elasticsearch, _opensearch], ids=["elasticsearch", "opensearch"])
def open_at(request: pytest.FixtureRequest) -> Open:
    """Opens the index ``docs`` of an engine at an address."""
    opener: Open = request.param
    return opener


def error(kind: str, reason: str) -> dict[str, Any]:
    """An error reply as both engines write it."""
    cause = {"type": kind, "reason": reason}
    return {"error": {**cause, "root_cause": [cause]}, "status": 0}


def told(open_at: Open, status: int, body: Any, **settings: Any) -> str:
    """What the user is told if a server answers everything with this."""
    with serving(StandIn({"/": (status, body)}, ELASTIC)) as server, pytest.raises(ConnectorError) as caught:
        open_at(server.url, **settings)
    return str(caught.value)


WRONG = [
    (401, error("security_exception", "unable to authenticate user [me]"), "does not let the user 'me' in"),
    (403, error("security_exception", "action is unauthorized"), "the user 'me' may not do this"),
    (429, error("es_rejected_execution_exception", "queue full"), "too busy"),
    (503, error("search_phase_execution_exception", "all shards failed"), "not available (red)"),
    (503, error("master_not_discovered_exception", "no master"), "no master"),
    (502, "<html>Bad Gateway</html>", "proxy"),
    (504, "<html>Gateway Timeout</html>", "proxy"),
    (404, "<html>Not Found</html>", "correct `hosts`"),
    (200, "<html>Welcome to nginx!</html>", "correct `hosts`"),
    (200, {"hello": "world"}, "correct `hosts`"),
    (400, error("index_closed_exception", "closed"), "closed"),
    (404, error("index_not_found_exception", "no such index [docs]"), "has no index 'docs'"),
]


@pytest.mark.parametrize(("status", "body", "message"), WRONG, ids=[f"{case[0]}-{case[2]}" for case in WRONG])
def test_answers_that_are_no_index(open_at: Open, status: int, body: Any, message: str) -> None:
    """Whatever answers instead of the index, the user is told what it is and what to do, on one line."""
    text = told(open_at, status, body, user="me", password=HIDDEN)
    assert message in text
    assert HIDDEN not in text
    assert "\n" not in text


def test_another_product() -> None:
    """Each engine that is taken for the other says which connector to use."""
    version = {"number": "9.2.4", "build_flavor": "default"}
    with serving(StandIn({"/": (200, EMPTY)})) as other, pytest.raises(ConnectorError, match="name: opensearch"):
        _elasticsearch(other.url)
    answers = {"/": (200, {"version": version}), "/docs": (200, EMPTY)}
    with serving(StandIn(answers)) as other, pytest.raises(ConnectorError, match="name: elasticsearch"):
        _opensearch(other.url)


def test_older_server() -> None:
    """A server that does not speak the client's version asks for a client of its own."""
    reason = "Accept version must be either version 8 or 7, but found 9. Accept=application/vnd.elasticsearch+json"
    assert "pip install 'elasticsearch<9'" in told(_elasticsearch, 400, error("media_type_header_exception", reason))


def test_nobody_listens(open_at: Open) -> None:
    """An engine that is down is an error at once, which names its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ConnectorError, match=f"Nothing listens at {url}"):
        open_at(url)


def test_slow_engine(open_at: Open) -> None:
    """An engine that does not answer is waited for as long as the settings say."""
    started = time.monotonic()
    slow = StandIn({"/": (200, EMPTY)}, ELASTIC, delay_s=30)
    with serving(slow) as server, pytest.raises(ConnectorError, match="no answer in time"):
        open_at(server.url, timeout_s=0.2)
    assert time.monotonic() - started < 10


def test_tls_where_there_is_none(open_at: Open) -> None:
    """An https address of a server that speaks http is told as that."""
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC)) as server, pytest.raises(ConnectorError, match="write http://"):
        open_at(server.url.replace("http:", "https:"))


def test_a_refused_search_keeps_its_status(open_at: Open) -> None:
    """A search that the engine refuses tells its reason, and its status for who wants to try another one."""
    answers = {"/docs": (200, EMPTY), "/docs/_search?from": (400, error("parsing_exception", "unknown query [mach]"))}
    with (
        serving(StandIn({"/": (404, {}), **answers}, ELASTIC)) as server,
        open_at(server.url) as engine,
        pytest.raises(EngineError) as found,
    ):
        engine.search(Request("docs", {"from": 3}, {"query": {"mach": {}}}))
    assert "unknown query [mach]" in str(found.value)
    assert found.value.status_code == 400


def test_requests_arrive_as_given(open_at: Open) -> None:
    """A request reaches the engine as it is; one that names no index goes to the opened one."""
    request = Request(
        "docs,more*", {"size": 3, "timeout": "1s", "explain": True, "stored_fields": ["a", "b"]}, {"x": 1}
    )
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC)) as server, open_at(server.url) as engine:
        assert engine.search(request) == EMPTY
        method, path, body = server.asked[-1]
        assert engine.search(Request(None, {"q": "ä b"})) == EMPTY
    assert (method, body.replace(" ", "")) == ("POST", '{"x":1}')
    assert path == "/docs,more*/_search?size=3&timeout=1s&explain=true&stored_fields=a%2Cb"
    assert server.asked[-1][:2] == ("GET", "/docs/_search?q=%C3%A4+b")


def test_documents_that_are_refused(open_at: Open) -> None:
    """Documents that the engine refuses are named with its reason; the others are in."""
    problem = {"type": "document_parsing_exception", "reason": "failed to parse field [year]"}
    items = [{"index": {"_id": "a", "status": 201}}, {"index": {"_id": "b", "status": 400, "error": problem}}]
    answers = {"/": (200, EMPTY), "/_bulk": (200, {"errors": True, "items": items})}
    with (
        serving(StandIn(answers, ELASTIC)) as server,
        open_at(server.url) as engine,
        pytest.raises(DocumentsRefused) as found,
    ):
        engine.add([("a", {"year": 1}), ("b", {"year": "soon"})])
    assert found.value.problems == {"b": "failed to parse field [year]"}
    assert "refresh=true" in server.asked[-1][1]


def test_a_busy_engine_is_asked_again(open_at: Open) -> None:
    """A document that the engine has no time for is sent again by itself, and only that one."""
    busy = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue full"}}
    first = [{"index": {"_id": "a", "status": 201}}, {"index": {"_id": "b", **busy}}]
    second = [{"index": {"_id": "b", "status": 201}}]
    replies = [(200, {"errors": True, "items": first}), (200, {"errors": False, "items": second})]
    with serving(StandIn({"/": (200, EMPTY), "/_bulk": replies}, ELASTIC)) as server, open_at(server.url) as engine:
        assert engine.add([("a", {"n": 1}), ("b", {"n": 2})]) == 2
    sent = [body for _, path, body in server.asked if path.startswith("/_bulk")]
    assert len(sent) == 2
    assert '"a"' not in sent[1]
    assert '"b"' in sent[1]


def test_credentials(open_at: Open) -> None:
    """User and password, or an API key, go with every request."""
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC)) as server:
        open_at(server.url, user="me", password=HIDDEN).close()
        assert set(server.credentials) == {f"Basic {base64.b64encode(b'me:tiger').decode()}"}
        server.credentials.clear()
        _elasticsearch(server.url, api_key=HIDDEN).close()
        assert server.credentials == [f"ApiKey {HIDDEN}"]


@pytest.mark.parametrize(
    ("doc_id", "fields", "problem"),
    [
        ("a", {"title": "x"}, None),
        ("ä" * 256, {}, None),
        ("ä" * 257, {}, "512 bytes"),
        ("", {}, "empty"),
        ("\ud800", {}, "JSON"),
        ("a", {"n": float("nan")}, "JSON"),
        ("a", {"n": {1, 2}}, "JSON"),
        ("a", {"t": "\udc00"}, "JSON"),
        ("a", {"_source": {}}, "'_source'"),
    ],
)
def test_validate(open_at: Open, doc_id: str, fields: dict[str, Any], problem: str | None) -> None:
    """What no index could take is known before it is sent, and `add` does not send it."""
    with serving(StandIn({"/": (200, EMPTY)}, ELASTIC)) as server, open_at(server.url) as engine:
        found = engine.validate(doc_id, fields)
        if problem is None:
            assert found is None
        else:
            assert problem in found
            with pytest.raises(DocumentsRefused, match="is refused"):
                engine.add([(doc_id, fields)])
    assert "/_bulk" not in {path.partition("?")[0] for _, path, _ in server.asked}


@pytest.mark.parametrize("name", ["elasticsearch", "opensearch"])
def test_packages_need_no_client(name: str) -> None:
    """A connector's package can be imported without the client; opening says what to install."""
    client = {"elasticsearch": "elasticsearch", "opensearch": "opensearchpy"}[name]
    code = f"""
import sys
sys.modules[{client!r}] = None
from rebridge.connector import load
from rebridge.errors import MissingExtra
connector = load({name!r})
try:
    connector.open(connector.settings())
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert f"pip install 'rebridge[{name}]'" in done.stdout
