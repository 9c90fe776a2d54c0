"""Searches of Solr as they come over HTTP."""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from rebridge.bridge import Bridge
from rebridge.errors import RebridgeError, ScorerError
from rebridge.http import (
    ErrorReply,
    Exchange,
    Forward,
    HttpReply,
    HttpRequest,
    NoAnswer,
    Searched,
    header,
    in_utf8,
    media_type,
    told,
    unconditional,
    without,
)
from rebridge.http.bodies import BadBody, plain, with_body
from rebridge.http.exact_json import NotJson, dumps, loads
from rebridge.http.json_replies import JsonReply, json_reply, read_reply
from rebridge.http.queries import kept, parsed, written
from rebridge.models import Summary
from rebridge.overrides import Overrides
from rebridge.steps import Fetch
from rebridge.stories import Story, relay
from rebridge_solr.answering import known, searched
from rebridge_solr.handlers import place_of
from rebridge_solr.learning import Ask
from rebridge_solr.reading import NO_SEARCH
from rebridge_solr.request import Request, texts
from rebridge_solr.wire import on_the_wire

_METHODS = frozenset({"GET", "POST"})
_PATH = re.compile(r"(?P<core>/solr/(?P<name>[^/]+))/(?P<handler>[^/.]+(?:/[^/.]+)*)/?")
#: What stands in the place of a core's name in paths of the server itself.
_NO_CORE = frozenset({"admin", "api", "css", "img", "js", "libs", "partials", "templates"})
_FORM = "application/x-www-form-urlencoded"
_JSON = frozenset({"application/json", "text/json"})
_NOT_ALLOWED = frozenset({401, 403})


class _NotAllowed(NoAnswer):
    """The client may not search."""


def is_search(method: str, path: str) -> bool:
    """Whether such a request may be a search: one to a handler of a core that is none of Solr's own for other ends."""
    found = _PATH.fullmatch(path)
    if method not in _METHODS or found is None or found["name"] in _NO_CORE:
        return False
    return unquote(found["handler"]).split("/")[0] not in NO_SEARCH


def failure(status: int, kind: str, reason: str) -> HttpReply:
    """An error as Solr writes it."""
    error = {"metadata": ["error-class", kind], "msg": reason, "code": status}
    return json_reply(status, {"responseHeader": {"status": status, "QTime": 0}, "error": error})


def exchange(request: HttpRequest, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
    """See `rebridge.http.HttpConnector.exchange`."""
    try:
        talk = _Talk(request)
    except BadBody as error:
        return _untouched(request, bridge, None, str(error))
    try:
        known_request = yield from talk.relayed(known(bridge, talk.target, talk.request, talk.place, _value, overrides))
    except _NotAllowed:
        return _untouched(request, bridge, talk.target, "unknown_handler")
    look = bridge.look(talk.target, known_request, overrides)
    if look.reason is not None:
        bridge.passed(talk.target, look.reason)
        summary = Summary("bypassed", look.reason)
        return Forward(talk.http(look.native), (Searched(look.pipeline, summary),), look.refused)
    try:
        outcome = yield from talk.relayed(searched(bridge, talk.target, known_request, _value, overrides))
    except (ErrorReply, RebridgeError) as error:
        ours = isinstance(error, RebridgeError)
        reply = failure(500, "rerank_error", told(error)) if isinstance(error, RebridgeError) else error.reply
        reason = error.reason if isinstance(error, ScorerError) else "window_refused" if ours else "refused"
        summary = Summary("degraded" if ours else "bypassed", reason)
        return Exchange(reply, (Searched(look.pipeline, summary),), look.refused)
    return Exchange(talk.finished(outcome.reply), (Searched(look.pipeline, outcome.summary),), look.refused)


def _untouched(request: HttpRequest, bridge: Bridge, target: str | None, reason: str) -> Forward:
    pipeline = bridge.passed(target, reason)
    return Forward(request, (Searched(pipeline, Summary("bypassed", reason)),))


def _value(reply: JsonReply) -> Any:
    return reply.value


class _Talk:
    """One request, as one that can be changed.

    Attributes:
        request: it.
        target: the core or collection.
        place: where its handler is.

    Raises:
        BadBody: if it cannot be read.
    """

    def __init__(self, own: HttpRequest) -> None:
        self._own = own
        self._form, body = _form_and_json(own)
        params = parsed(own.query)
        for name, values in parsed(self._form or "").items():
            params[name] = [*params.get(name, ()), *values]
        if "ie" in params:  # the bytes of the query are in another character set
            raise BadBody("unreadable_params")
        found = _PATH.fullmatch(own.path)
        assert found is not None, "not a search"  # noqa: S101 - `is_search` comes first
        self._core = found["core"]
        named = texts(params.get("collection", ()))
        self.target = named[0] if named else unquote(found["name"])
        self.request = Request(params, body, handler=unquote(found["handler"]))
        self.place = place_of(self._core, self.request)
        self._received: JsonReply | None = None

    def relayed(self, story: Story[Any]) -> Story[Any]:
        """A story about requests and the like as one about HTTP."""
        return relay(story, self._outward, self._inward)

    def http(self, request: Request) -> HttpRequest:
        """The HTTP request for a request: the client's own, exactly, where nothing was changed.

        Raises:
            WindowRefused: see `on_the_wire`.
        """
        before, own, wire = self.request, self._own, on_the_wire(request)
        if wire.params is before.params and wire.json is before.json:
            return own
        same = {name for name, value in wire.params.items() if before.params.get(name) is value}
        new = written({name: value for name, value in wire.params.items() if name not in same})
        query = kept(own.query, same)
        if self._form is None:
            changed = replace(own, query="&".join([*query, *new]))
            return changed if wire.json is before.json else with_body(changed, dumps(wire.json))
        form = "&".join([*kept(self._form, same), *new])
        return with_body(replace(own, query="&".join(query)), form.encode("utf-8", "surrogateescape"))

    def finished(self, reply: Any) -> HttpReply:
        """The reply that the client gets for a value."""
        assert self._received is not None, "no reply"  # noqa: S101 - a search has asked Solr
        return self._received.changed(reply).http

    def _outward(self, step: Any) -> Any:
        if not isinstance(step, Fetch) or isinstance(step.request, Future):
            return step
        what = step.request
        return Fetch(unconditional(self._asked(what) if isinstance(what, Ask) else self.http(what)))

    def _asked(self, what: Ask) -> HttpRequest:
        headers = without(self._own.headers, "content-type", "content-length", "content-encoding")
        path, query = self._own.path, "&".join(written(what.what)) if what.kind == "search" else ""
        if what.kind == "path":
            below, _, query = what.what.partition("?")
            path = f"{self._core}/{below}"
        return HttpRequest("GET", path, query, headers)

    def _inward(self, step: Any, answer: Any) -> Any:
        if not isinstance(step, Fetch) or isinstance(step.request, Future):
            return answer
        if isinstance(step.request, Ask):
            if step.request.kind == "search" and answer.status in _NOT_ALLOWED:
                raise _NotAllowed
            return read_reply(answer)
        self._received = read_reply(answer)
        return self._received


def _form_and_json(request: HttpRequest) -> tuple[str | None, dict[str, Any] | None]:
    """The form and the JSON object that a body holds, as far as it does.

    Raises:
        BadBody: if it holds something else.
    """
    text, kind = plain(request.headers, request.body, request.limit), media_type(request.headers)
    if not text:
        return ("" if kind == _FORM and request.method == "POST" else None), None
    if request.method != "POST" or not in_utf8(request.headers):
        raise BadBody("unreadable_body")
    # Solr takes what curl sends with `-d '{...}'` for what it looks like.
    curl = (header(request.headers, "user-agent") or "").startswith("curl/")
    if kind == _FORM and not (curl and text.lstrip()[:1] == b"{"):
        return text.decode("utf-8", "surrogateescape"), None
    try:
        body = loads(text, strict=True) if kind in {*_JSON, _FORM} else None
    except NotJson:
        body = None
    if not isinstance(body, dict):
        raise BadBody("unreadable_body")
    return None, body
