"""Bodies of HTTP requests and replies: out of their compression, and changed ones back into it."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace

from rebridge.http import Headers, HttpReply, HttpRequest, header, without

#: Told by the first bytes: gzip and zlib; or the bare deflate that some send instead of zlib.
_GZIP_OR_ZLIB, _BARE = 47, -15
#: As nginx and engines compress: most of the gain at little cost.
_LEVEL = 3
#: About the engine's own reply, and no other.
_OF_THE_ENGINES_BODY = ("content-length", "content-encoding", "etag", "last-modified", "content-md5", "digest")
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class BadBody(ValueError):
    """A body that cannot be read, for the reason given in a word."""


def plain(headers: Headers, body: bytes, limit: int | None = None) -> bytes:
    """The body without its compression.

    Args:
        headers: its headers.
        body: the bytes that came.
        limit: most bytes that it may come to; None for no limit.

    Raises:
        BadBody: ``unreadable_body`` or ``body_too_large``.
    """
    encoding = (header(headers, "content-encoding") or "identity").strip().lower()
    if encoding == "identity" or not body:
        return body
    if encoding not in _ENCODINGS:
        raise BadBody("unreadable_body")
    try:
        return _inflated(body, limit, _GZIP_OR_ZLIB)
    except zlib.error as error:
        try:
            return _inflated(body, limit, _BARE)
        except zlib.error:
            raise BadBody("unreadable_body") from error


def _inflated(body: bytes, limit: int | None, kind: int) -> bytes:
    parts, room = [], limit
    while body:
        inflater = zlib.decompressobj(kind)
        parts.append(inflater.decompress(body, 0 if room is None else room + 1))
        room = None if room is None else room - len(parts[-1])
        if room is not None and room < 0:
            raise BadBody("body_too_large")
        if not inflater.eof:
            raise zlib.error("the end is missing")
        body = inflater.unused_data
    return b"".join(parts)


def with_body(request: HttpRequest, body: bytes) -> HttpRequest:
    """The request with another body, which is not compressed."""
    kept = without(request.headers, "content-length", "content-encoding")
    return replace(request, headers=(*kept, ("content-length", str(len(body)))), body=body)


def with_reply_body(reply: HttpReply, body: bytes) -> HttpReply:
    """The reply with another body; compressed by gzip if the engine's was compressed."""
    packed = (header(reply.headers, "content-encoding") or "identity").strip().lower() != "identity"
    sent = gzip.compress(body, _LEVEL, mtime=0) if packed else body
    kept = without(reply.headers, *_OF_THE_ENGINES_BODY)
    encoding = (("content-encoding", "gzip"),) if packed else ()
    return replace(reply, headers=(*kept, *encoding, ("content-length", str(len(sent)))), body=sent)
