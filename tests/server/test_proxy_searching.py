"""Searches through a proxy: reranked, or the engine's own reply to the byte, and what the headers say of it."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator

import pytest
from tests.connectors.client_kinds import QUERY

from .fake_engines import JSON, cluster
from .proxying import CONFIG, ask
from .raw_upstream import EMPTY, Got
from .shops import BODY, KIND, Shop, ids, shops


@pytest.fixture(scope="module")
def own_shop() -> Iterator[Shop]:
    yield from shops()


@pytest.fixture
def shop(own_shop: Shop) -> Shop:
    own_shop.raw.answer = cluster(own_shop.engine)
    own_shop.raw.got.clear()
    own_shop.seen.clear()
    return own_shop


class TestReranked:
    def test_reply(self, shop: Shop) -> None:
        """The best of the window come first, with all headers of the engine but those of its own body."""
        status, headers, reply = shop.search()
        assert (status, ids(reply)) == (200, ["d20", "d19", "d18"])
        assert reply["_rerank"]["status"] == "applied"
        values = dict(headers)
        assert values["content-type"] == JSON
        assert values["x-elastic-product"] == "Elasticsearch"
        assert not {"etag", "last-modified", "content-encoding"} & values.keys()
        for name, expected in (("warning", ["299 a", "299 b"]), ("set-cookie", ["a=1", "b=2"])):
            assert [value for key, value in headers if key == name] == expected

    def test_what_it_says(self, shop: Shop) -> None:
        """Two headers tell what was done and how long it took, beside what the engine tells."""
        headers = shop.search()[1]
        assert dict(headers)["x-rerank"] == "applied; pipeline=*; model=fake"
        own, ours = [value for name, value in headers if name == "server-timing"]
        assert own == "own;dur=1"
        assert re.fullmatch(r"engine;dur=[0-9.]+, (scorer;dur=[0-9.]+, )?total;dur=[0-9.]+", ours)

    def test_one_request_for_the_window(self, shop: Shop) -> None:
        """The engine gets the widened request under the client's own headers, without conditions and ours."""
        shop.search(BODY, "/shop/_search?typed_keys&preference=a%2Cb", ("x-opaque-id", "7"), ("if-none-match", "*"),
                    ("accept-encoding", "br, gzip;q=0.5"), ("x-rerank", "on"))  # fmt: skip
        (got,) = shop.raw.got
        assert got.line == b"POST /shop/_search?typed_keys&preference=a%2Cb HTTP/1.1"
        assert json.loads(got.body) == {"query": QUERY, "size": 20, "from": 0}
        assert {name: got.header(name) for name in (b"x-opaque-id", b"accept-encoding", b"content-type")} == {
            b"x-opaque-id": b"7",
            b"accept-encoding": b"gzip",
            b"content-type": KIND[1].encode(),
        }
        assert not {b"if-none-match", b"x-rerank"} & {name for name, _ in got.headers}

    @pytest.mark.parametrize(
        ("encoding", "sent"), [("gzip", "gzip"), ("identity", None), ("br", None), ("gzip;q=0", None), ("*", "gzip")]
    )
    def test_compressed_replies(self, shop: Shop, encoding: str, sent: str | None) -> None:
        """A reply is compressed where the engine's was, and never in a way that the client does not take."""
        _, headers, reply = shop.search(BODY, "/shop/_search", ("accept-encoding", encoding))
        assert dict(headers).get("content-encoding") == sent
        assert ids(reply)[0] == "d20"

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare"])
    def test_compressed_requests(self, shop: Shop, encoding: str) -> None:
        """A compressed search is read too."""
        text = json.dumps(BODY).encode()
        bare = zlib.compressobj(wbits=-15)
        packed = {
            "gzip": gzip.compress(text),
            "deflate": zlib.compress(text),
            "bare": bare.compress(text) + bare.flush(),
        }
        name = "deflate" if encoding == "bare" else encoding
        assert ids(shop.search(packed[encoding], "/shop/_search", ("content-encoding", name))[2])[0] == "d20"

    def test_by_url(self, shop: Shop) -> None:
        """A search whose page and words are in the URL is reranked, with what it says beside them."""
        status, _, text = ask(shop.proxy, "GET", "/shop/_search?q=title:shoe&size=2&pretty")
        assert (status, ids(json.loads(text))) == (200, ["d20", "d19"])
        line = shop.raw.got[0].line.decode()
        assert line.startswith("GET /shop/_search?q=title:shoe&pretty&")
        assert "size=20" in line

    def test_multi_search(self, shop: Shop) -> None:
        """Each search of a multi-search is answered for itself; the headers count what was done."""
        lines = [{}, BODY, {"index": "other"}, {**BODY, "sort": ["n"]}, {}, BODY]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        _, headers, reply = shop.search(body, "/shop/_msearch", ("content-type", "application/x-ndjson"))
        assert [ids(item)[0] for item in reply["responses"]] == ["d20", "d1", "d20"]
        assert dict(headers)["x-rerank"] == (
            "applied; pipeline=*; model=fake; searches=2, bypassed; reason=own_sort; pipeline=*; searches=1"
        )
        assert [name for name, _ in shop.seen] == ["*", "*", "*"]

    def test_templates(self, shop: Shop) -> None:
        """A search by template is rendered by the engine, and reranked."""
        template = {"source": {"query": {"match": {"title": "{{words}}"}}, "size": 2}, "params": {"words": "shoe"}}
        assert ids(shop.search(template, "/shop/_search/template?typed_keys")[2]) == ["d20", "d19"]
        assert shop.raw.got[0].line == b"POST /_render/template HTTP/1.1"
        assert shop.raw.got[1].line == b"POST /shop/_search?typed_keys HTTP/1.1"

    def test_numbers(self, shop: Shop) -> None:
        """Numbers wider than a double, and characters outside of Unicode, reach engine and client as they are."""
        numbers = b'{"a":123456789012345678901,"b":0.12345678901234567890,"c":1E+400,"d":"\\ud83d"}'
        body = b'{"query":{"match":{"title":"shoe"}},"size":1,"x":' + numbers + b"}"
        shop.search(body)
        assert numbers in shop.raw.got[0].body
        answer = shop.raw.answer

        def wide(got: Got) -> bytes:
            assert callable(answer)
            text = (
                (answer(got) or b"")
                .partition(b"\r\n\r\n")[2]
                .replace(b'"aggregations": {', b'"aggregations": {"w":' + numbers + b",")
            )
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text

        shop.raw.answer = wide
        text = ask(shop.proxy, "POST", "/shop/_search", [KIND], json.dumps(BODY).encode())[2]
        assert b"_rerank" in text
        assert numbers in text


class TestBypassed:
    @pytest.mark.parametrize(
        ("target", "body", "reason"),
        [
            ("/shop/_search", b'{"query":{"match":{"title":"shoe"}},"sort":["n"], "x":1.0e0}', "own_sort"),
            ("/shop/_search?scroll=1m", json.dumps(BODY).encode(), "scroll"),
            ("/shop/_search", b'{"query":{"match_all":{}}}', "no_query_text"),
            ("/shop/_search", b'{"query":{"match":{"title":"a"}},"size":1,"size":2}', "unreadable_body"),
            ("/shop/_search?size=1;size=2", json.dumps(BODY).encode(), "unreadable_params"),
            ("/shop/_search", b"[1]", "unreadable_body"),
            ("/shop/_msearch", b'{}\n{"query":{"match":{"title":"a"}}}', "unreadable_body"),
            ("/shop/_msearch", b'{}\n{"query":{"match_all":{}}}\n', "no_query_text"),
        ],
    )
    def test_bytes(self, shop: Shop, target: str, body: bytes, reason: str) -> None:
        """What is not reranked goes out and comes back to the byte, and the header says why."""
        own = b'HTTP/1.1 200 OK\r\netag: a\r\ncontent-length: 13\r\n\r\n{"hits" : 1 }'
        shop.raw.answer = own
        headers = [KIND, ("accept-encoding", "br"), ("if-none-match", "b")]
        status, got, text = ask(shop.proxy, "POST", target, headers, body)
        assert (status, text) == (200, b'{"hits" : 1 }')
        assert got[:2] == [("etag", "a"), ("content-length", "13")]
        assert dict(got)["x-rerank"] == f"bypassed; reason={reason}; pipeline=*"
        (sent,) = shop.raw.got
        assert (sent.line.decode(), sent.body) == (f"POST {target} HTTP/1.1", body)
        assert (sent.header(b"accept-encoding"), sent.header(b"if-none-match")) == (b"br", b"b")
        assert [(name, summary.reason) for name, summary in shop.seen] == [("*", reason)]

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ([("content-type", "application/cbor")], "unreadable_body"),
            ([("content-type", "application/yaml")], "unreadable_body"),
            ([("content-type", "application/json; charset=latin1")], "unreadable_body"),
            ([("x-a", "1"), ("content-type", "")], "unreadable_body"),
            ([KIND, ("accept", "application/smile")], "format"),
            ([KIND, ("content-encoding", "br")], "unreadable_body"),
            ([KIND, ("content-encoding", "gzip")], "unreadable_body"),
        ],
    )
    def test_other_formats(self, shop: Shop, headers: list[tuple[str, str]], reason: str) -> None:
        """Bodies and replies that are no JSON go through."""
        shop.raw.answer = EMPTY
        body = json.dumps(BODY).encode()
        got = ask(shop.proxy, "POST", "/shop/_search", headers, body)
        assert f"reason={reason};" in dict(got[1])["x-rerank"]
        assert shop.raw.got[0].body == body

    def test_words_for_us_alone(self, shop: Shop) -> None:
        """Words for the model do not reach the engine, also in a search that is not reranked."""
        body = {**BODY, "sort": ["n"], "ext": {"rerank": {"query_context": {"query_text": "warm"}}}}
        assert "own_sort" in shop.told(body)
        assert json.loads(shop.raw.got[0].body) == {**BODY, "sort": ["n"]}

    def test_long_bodies(self) -> None:
        """A body above the limit streams through, whether its length is told or not, and also if it only swells."""
        text = json.dumps({**BODY, "x": "y" * 5000}).encode()
        for shop in shops(body_limit=1000):
            for body, headers in (
                (text, []),
                ([text[:900], text[900:]], []),
                (gzip.compress(text), [("content-encoding", "gzip")]),
            ):
                got = ask(shop.proxy, "POST", "/shop/_search", [KIND, *headers], body)
                assert "reason=body_too_large" in dict(got[1])["x-rerank"]
                sent = shop.raw.got[-1]
                assert sent.body == (b"".join(body) if isinstance(body, list) else body)
                assert sent.chunked == isinstance(body, list)

    def test_no_pipeline(self) -> None:
        """An index without a pipeline is left alone, and so is a list of indices with several."""
        for shop in shops({"a": CONFIG, "b": CONFIG}):
            assert shop.told(BODY, "/other/_search") == "bypassed; reason=no_pipeline"
            assert shop.told(BODY, "/a,b/_search") == "bypassed; reason=several_pipelines"
            assert shop.told(BODY, "/a/_search") == "applied; pipeline=a; model=fake"

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/_search/scroll"), ("POST", "/shop/_async_search"), ("HEAD", "/shop/_search"),
            ("POST", "/_security/_search"), ("POST", "//shop/_search"), ("DELETE", "/shop/_search"),
            ("POST", "/shop/_msearch/template"), ("POST", "/shop/_doc/_search"), ("GET", "/"),
        ],
    )  # fmt: skip
    def test_no_searches(self, shop: Shop, method: str, path: str) -> None:
        """What is no search is not looked at."""
        shop.raw.answer = EMPTY
        assert "x-rerank" not in dict(ask(shop.proxy, method, path, [KIND], json.dumps(BODY).encode())[1])
        assert shop.seen == []
