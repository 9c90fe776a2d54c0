"""What a client sees when the engine behind a proxy fails."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.connectors.fake_cluster import Cluster
from tests.server.fake_engines import cluster
from tests.server.proxying import ask as raw_ask
from tests.server.raw_upstream import Got, Raw, listening

from rebridge.testing import FakeScorer

from .front import SEARCH, Front, ask, fronted

ANSWER = cluster(Cluster())
KIND = ("content-type", "application/json")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def reranked(front: Front) -> bool:
    """Whether a search is answered as it should be."""
    reply = front.search()
    found = [hit["_id"] for hit in reply.json()["hits"]["hits"]]
    return found == ["d10", "d11", "d12"] and reply.headers["x-rerank"].startswith("applied")


def failure(reply: httpx.Response) -> tuple[int, str, str]:
    """The status, the type of the error in the engine's form, and the header that says why."""
    return reply.status_code, reply.json()["error"]["type"], reply.headers["x-rerank"]


def came(front: Front) -> int | None:
    """The status of what is not a search; None if it broke off."""
    try:
        return front.get("/_cat/indices").status_code
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return None


UNREACHABLE = (502, "engine_unreachable", "bypassed; reason=engine_unreachable")
TIMEOUT = (504, "engine_timeout", "bypassed; reason=engine_timeout")


def test_the_engine_refuses_connections() -> None:
    """502 in the engine's own form, `engine_unreachable`; reranked answers as soon as it is back."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with fronted(f"http://127.0.0.1:{port}") as front:
        assert failure(front.search()) == failure(front.get("/_cat/indices")) == UNREACHABLE
        with listening(Raw(ANSWER, port=port)):
            assert reranked(front)


def test_the_engine_resets_the_connection_before_it_answers(front: Front, engine: Raw) -> None:
    """A search is sent once more; then 502, `engine_unreachable`."""
    engine.answer, engine.resets = lambda _: None, True
    assert failure(front.search()) == UNREACHABLE
    assert len(engine.got) == 2


def test_the_engine_resets_the_connection_within_a_reply_to_a_search(front: Front, engine: Raw) -> None:
    """502, `engine_unreachable`; never a part of the reply."""
    engine.answer, engine.closes, engine.resets = HEAD + b"content-length: 1000\r\n\r\n" + b"{" * 500, True, True
    assert failure(front.search()) == UNREACHABLE


def test_the_engine_resets_the_connection_within_a_streamed_reply(front: Front, engine: Raw) -> None:
    """The client's connection breaks too: a part is never taken for the whole."""
    for framing in (b"content-length: 1000\r\n\r\n" + b"{" * 500, b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        engine.answer, engine.closes, engine.resets = HEAD + framing, True, True
        assert came(front) in {None, 502}


def test_the_engine_stalls_before_it_answers(front: Front, engine: Raw) -> None:
    """504, `engine_timeout`, after `timeout_s`."""
    free = threading.Event()
    engine.answer = lambda _: HEAD if free.wait(5) else None
    try:
        assert failure(front.search()) == failure(front.get("/_cat/indices")) == TIMEOUT
    finally:
        free.set()


def test_the_engine_stalls_within_a_reply(front: Front, engine: Raw) -> None:
    """A search gets 504, `engine_timeout`; a streamed reply breaks off."""
    engine.answer = HEAD + b"content-length: 1000\r\n\r\n" + b"{" * 500
    assert failure(front.search()) == TIMEOUT
    assert came(front) is None


def test_the_engine_takes_up_the_deadline(engine: Raw) -> None:
    """The engine's order as soon as it is there, `degraded; reason=deadline`."""

    def late(got: Got) -> bytes:
        time.sleep(0.2)
        return ANSWER(got)

    engine.answer, engine.closes, engine.resets = late, False, False
    with fronted(engine.url, FakeScorer(hangs=True)) as front:
        reply = front.search(x_rerank_deadline_ms="100")
    assert reply.headers["x-rerank"].startswith("degraded; reason=deadline")
    assert [hit["_id"] for hit in reply.json()["hits"]["hits"]] == ["d1", "d2", "d3"]
    assert reply.elapsed.total_seconds() < 2


@pytest.mark.parametrize("status", [429, 503])
def test_the_engine_is_overloaded(front: Front, engine: Raw, status: int) -> None:
    """The engine's own 429 or 503, to the byte, with its `Retry-After`; nothing is sent twice."""
    body = b'{"error":{"type":"es_rejected_execution_exception"},"status":%d}' % status
    engine.answer = b"HTTP/1.1 %d X\r\nretry-after: 7\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
    reply = front.search()
    assert (reply.status_code, reply.content, reply.headers["retry-after"]) == (status, body, "7")
    assert reply.headers["x-rerank"].startswith("bypassed; reason=refused")
    assert len(engine.got) == 1


#: A hit, and parts of it that no engine would give.
HIT = {"_index": "shop", "_id": "d1", "_score": 1.0, "_source": {"title": "shoe 1"}}
ODD_HITS = [{"_source": "x"}, {"_source": None}, {"fields": []}, {"sort": True}, {"_score": 10**400}, {"_id": None}]
ODD_REPLIES = [json.dumps({"hits": {"hits": [HIT, HIT | odd]}}).encode() for odd in ODD_HITS]


@pytest.mark.parametrize(
    "body",
    [b"<html>maintenance</html>", b"", b"null", b'{"hits": 5}', b"[" * 100_000, b"\xff", *ODD_REPLIES],
    ids=range(12),
)
def test_the_engine_answers_something_else(front: Front, engine: Raw, body: bytes) -> None:
    """HTML, nothing, other JSON: the engine's bytes as they are, `bypassed; reason=odd_reply`."""
    engine.answer = HEAD + b"content-length: %d\r\n\r\n%s" % (len(body), body)
    reply = front.search()
    assert (reply.status_code, reply.content) == (200, body)
    assert reply.headers["x-rerank"].startswith("bypassed; reason=odd_reply")


def test_the_engine_answers_truncated_gzip(front: Front, engine: Raw) -> None:
    """The engine's bytes as they are, `bypassed; reason=odd_reply`: the client finds what it would find without us."""
    body = gzip.compress(json.dumps({"hits": {"hits": []}}).encode())[:-9]
    engine.answer = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    status, headers, text = raw_ask(f"http://127.0.0.1:{front.proxy}", "POST", "/shop/_search", [KIND], SEARCH)
    assert (status, text) == (200, body)
    assert dict(headers)["x-rerank"].startswith("bypassed; reason=odd_reply")


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"\x00" * 100, HEAD + b"a: b\r\n" * 50_000 + b"\r\n"])
def test_the_engine_does_not_speak_http(front: Front, engine: Raw, nonsense: bytes) -> None:
    """502, `engine_unreachable`; so for a head without end."""
    engine.answer, engine.closes = nonsense, True
    assert failure(front.search()) == UNREACHABLE
    assert front.get("/_cat/indices").status_code == 502


def test_the_engine_answers_with_very_much(front: Front, engine: Raw) -> None:
    """A search reply of 40 MB is reranked as any other."""
    found = json.loads(Cluster().answer("POST", "/shop/_search", b'{"size": 20}', {})[1])
    for hit in found["hits"]["hits"]:
        hit["_source"]["text"] = "x" * 2_000_000
    body = json.dumps(found).encode()
    engine.answer = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    assert reranked(front)


def test_the_engine_restarts_between_two_searches(front: Front, engine: Raw) -> None:
    """Nothing: the search goes out again on a new connection."""
    engine.closes = True
    assert all(reranked(front) for _ in range(5))


def test_the_engine_dies_and_comes_back(front: Front, engine: Raw) -> None:
    """502 while it is away, then reranked answers again, without a restart of ours."""
    engine.answer = lambda _: None
    assert failure(front.search()) == UNREACHABLE
    engine.answer = ANSWER
    assert reranked(front)


def test_the_name_of_the_engine_is_unknown() -> None:
    """502, `engine_unreachable`; the name stands in no answer."""
    with fronted("http://no-such-engine.invalid:9200") as front:
        reply = front.search()
    assert failure(reply) == UNREACHABLE
    assert "invalid" not in reply.text


@pytest.mark.parametrize("what", ["expired", "untrusted", "sound"])
def test_the_certificate_of_the_engine_is_wrong(what: str, certificates: Path) -> None:
    """502, `engine_unreachable`, if it has expired or nobody trusted has signed it: not a byte is sent."""
    file = certificates / ("expired.pem" if what == "expired" else "sound.pem")
    trusted = None if what == "untrusted" else file
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, certificates / "key.pem")
    with listening(Raw(ANSWER, tls=context)) as raw:
        with fronted(raw.url.replace("http:", "https:"), ca_certs=trusted) as front:
            assert reranked(front) if what == "sound" else failure(front.search()) == UNREACHABLE
        assert (raw.got == []) == (what != "sound")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and two certificates of it for 127.0.0.1, a sound one and an expired one."""
    openssl, folder = shutil.which("openssl"), tmp_path_factory.mktemp("certificates")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout key.pem"
    for command in (
        f"req -x509 -nodes -subj /CN=rebridge-tests -addext subjectAltName=IP:127.0.0.1 {key} -out sound.pem",
        "x509 -in sound.pem -days -1 -signkey key.pem -out expired.pem",
    ):
        subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)  # noqa: S603 - ours
    return folder


def test_the_engine_fails_a_write_half_way(front: Front, engine: Raw) -> None:
    """502, and the write is not sent again: it may have been done."""
    engine.answer, engine.resets = lambda _: None, True
    reply = ask("POST", front.proxy, "/_bulk", b"{}\n")
    assert reply.status_code == 502
    assert len(engine.got) == 1


def test_solr_is_away_or_answers_nonsense() -> None:
    """502 in Solr's own form; HTML as it is, with why in `X-Rerank`."""
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"
    with listening(Raw(page)) as solr, fronted(solr.url, FakeScorer(), kind="solr") as front:
        reply = front.get("/solr/shop/select?q=shoe")
        assert (reply.content, reply.headers["x-rerank"]) == (b"<html>", "bypassed; reason=unknown_handler; pipeline=*")
        solr.answer = lambda _: None
        reply = front.get("/solr/shop/select?q=shoe")
        assert (reply.status_code, reply.json()["error"]["code"]) == (502, 502)
