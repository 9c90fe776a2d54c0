"""Replies over HTTP that hold JSON: taken apart, and put together again around another value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rebridge.http import ERROR, ErrorReply, HttpReply
from rebridge.http.bodies import BadBody, plain, with_reply_body
from rebridge.http.exact_json import NotJson, dumps, loads


@dataclass(frozen=True, slots=True)
class JsonReply:
    """A reply that was read.

    Attributes:
        http: the reply.
        value: its JSON value; the bytes that came if it is none.
        indented: whether it was written for human eyes.
    """

    http: HttpReply
    value: Any
    indented: bool = False

    def changed(self, value: Any) -> JsonReply:
        """The same reply with another value; the very same one if the value is its own."""
        if value is self.value:
            return self
        return replace(self, http=with_reply_body(self.http, dumps(value, indented=self.indented)), value=value)


def read_reply(reply: HttpReply) -> JsonReply:
    """Read a reply.

    Raises:
        ErrorReply: if it is an error.
    """
    if reply.status >= ERROR:
        raise ErrorReply(reply)
    try:
        text = plain(reply.headers, reply.body)
        return JsonReply(reply, loads(text), text.startswith(b"{\n"))
    except (BadBody, NotJson):
        return JsonReply(reply, reply.body)


def json_reply(status: int, value: Any) -> HttpReply:
    """A reply of ours."""
    body = dumps(value)
    return HttpReply(status, (("content-type", "application/json"), ("content-length", str(len(body)))), body)
