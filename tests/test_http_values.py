"""HTTP as values: bodies out of their compression, queries changed in places, JSON whose numbers keep their values."""

from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.http import HttpReply, HttpRequest, unconditional
from rebridge.http.bodies import BadBody, plain, with_reply_body
from rebridge.http.exact_json import NotJson, dumps, loads
from rebridge.http.queries import parsed, rewritten

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=[])),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=20,
)
NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(VALUES, st.booleans())
def test_json_values(value: Any, indented: bool) -> None:  # noqa: FBT001 - hypothesis
    """What is written is read again as the same value, also by others."""
    text = dumps(value, indented=indented)
    assert loads(text) == json.loads(text) == value
    assert indented or b"\n" not in text


@given(NUMBERS)
def test_numbers(number: str) -> None:
    """A number that is read and written again is the same number, however many digits it has."""
    written = dumps(loads(f"[{number}]")).decode()[1:-1]
    assert Decimal(written) == Decimal(number)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b'{"a":1,"a":1}', b"{} {}"])
def test_no_json(text: bytes) -> None:
    """What cannot be read, or not with one meaning, is no JSON."""
    with pytest.raises(NotJson):
        loads(text, strict=True)


def test_halves_of_characters() -> None:
    """Half of a surrogate pair, which UTF-8 cannot hold, stays an escape."""
    assert dumps(loads(b'"\\ud83d \\ud83d\\ude00"')) == b'"\\ud83d \xf0\x9f\x98\x80"'


PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-gzip": lambda body: gzip.compress(body[:2]) + gzip.compress(body[2:]),
    "identity": bytes,
}


@given(st.binary(max_size=200), st.sampled_from(list(PACK)), st.integers(0, 200))
def test_compressed_bodies(body: bytes, encoding: str, limit: int) -> None:
    """A body is read out of every compression, but only as far as the limit allows."""
    headers = (("Content-Encoding", encoding.upper()),)
    assert plain(headers, PACK[encoding](body)) == body
    if encoding == "identity":
        return
    if len(body) <= limit:
        assert plain(headers, PACK[encoding](body), limit) == body
    else:
        with pytest.raises(BadBody, match="body_too_large"):
            plain(headers, PACK[encoding](body), limit)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"a"), ("gzip", b"a"), ("gzip", gzip.compress(b"abc", mtime=0)[:-4]), ("gzip, gzip", b"a")],
)
def test_unreadable_bodies(encoding: str, body: bytes) -> None:
    """A body that is compressed otherwise, or broken, cannot be read."""
    with pytest.raises(BadBody, match="unreadable_body"):
        plain((("content-encoding", encoding),), body)


def test_bombs() -> None:
    """A small body that swells beyond the limit is not unpacked to its end."""
    with pytest.raises(BadBody, match="body_too_large"):
        plain((("content-encoding", "gzip"),), gzip.compress(bytes(50_000_000)), 1000)


def test_replies_with_another_body() -> None:
    """What speaks of the engine's own body goes; the rest stays, in order."""
    headers = (("A", "1"), ("ETag", "x"), ("Content-Length", "1"), ("a", "2"), ("Last-Modified", "y"))
    reply = with_reply_body(HttpReply(200, headers, b"x"), b"body")
    assert reply == HttpReply(200, (("A", "1"), ("a", "2"), ("content-length", "4")), b"body")


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        (["gzip, br"], "gzip"), (["br"], None), (["*"], "gzip"), (["gzip;q=0"], None), (["*;q=0.5, gzip;q=0.0"], None),
        (["br", "GZIP; q=0.3"], "gzip"), ([], None), (["identity"], None),
    ],
)  # fmt: skip
def test_compression_that_we_can_undo(accepted: list[str], sent: str | None) -> None:
    """The engine may compress what we look into only by gzip, and only if the client takes that."""
    request = HttpRequest("GET", "/", "", (*(("Accept-Encoding", value) for value in accepted), ("If-Match", "*")))
    assert dict(unconditional(request).headers) == ({} if sent is None else {"accept-encoding": sent})


PIECES = st.lists(
    st.text("abc=%+;?/ü\udcff0123456789ABCDEF", max_size=12).filter(lambda piece: "&" not in piece), max_size=6
)


@given(PIECES, st.dictionaries(st.text("xyzü&=", min_size=1, max_size=3), st.text(max_size=5), max_size=3))
def test_queries(pieces: list[str], new: dict[str, str]) -> None:
    """What is not changed stays as it was written; what is changed is read as it was meant."""
    query = "&".join(pieces)
    before = parsed(query)
    assert rewritten(query, before, before) == "&".join(piece for piece in pieces if piece)
    added = {name: [text] for name, text in new.items() if name not in before}
    assert parsed(rewritten(query, before, {**before, **added})) == {**before, **added}
    for name in before:
        rest = {key: value for key, value in before.items() if key != name}
        assert parsed(rewritten(query, before, rest)) == rest


def test_halves_of_characters_in_queries() -> None:
    """What JSON can say and no URL can is written as Java writes it; bytes that are no UTF-8 stay as they came."""
    before = parsed("b=%ff")
    assert rewritten("b=%ff", before, {**before, "a": ["x\ud83dy"]}) == "b=%ff&a=x%3Fy"
    assert rewritten("", {}, parsed("b=%ff")) == "b=%FF"
