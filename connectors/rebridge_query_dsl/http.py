"""Searches of Elasticsearch and OpenSearch as they come over HTTP."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from rebridge.bridge import Bridge
from rebridge.errors import RebridgeError, ScorerError
from rebridge.flow import Outcome
from rebridge.http import (
    ErrorReply,
    Exchange,
    Forward,
    HttpReply,
    HttpRequest,
    Searched,
    header,
    in_utf8,
    media_type,
    told,
    unconditional,
)
from rebridge.http.bodies import BadBody, plain, with_body
from rebridge.http.exact_json import NotJson, dumps, loads
from rebridge.http.json_replies import JsonReply, json_reply, read_reply
from rebridge.http.queries import parsed, rewritten
from rebridge.models import Summary
from rebridge.overrides import Overrides
from rebridge.steps import Fetch
from rebridge.stories import Story, relay
from rebridge_query_dsl.answering import readable, searched, searched_together
from rebridge_query_dsl.exchange import RENDER_TEMPLATE, RERANK_ERROR, Call, Multi, OddResponse, Single, lines_of

_METHODS = frozenset({"GET", "POST"})
# Names with an underscore in front are the engines' own, but for `_all`.
_PATH = re.compile(r"/(?:(?!_(?!all/))[^/]+/)?(?:_search(?:/template)?|_msearch)/?")
#: What a client may accept, besides names with ``json``, and get JSON.
_ANYTHING = frozenset({"*/*", "application/*"})


def is_search(method: str, path: str) -> bool:
    """Whether such a request is a search, a search by template or a multi-search."""
    return method in _METHODS and _PATH.fullmatch(path) is not None


def exchange(request: HttpRequest, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
    """See `rebridge.http.HttpConnector.exchange`."""
    talk = _Talk(request)
    story = _multi if talk.call.path.endswith("/_msearch") else _single
    return relay(story(talk, bridge, overrides), talk.outward, talk.inward)


def failure(status: int, kind: str, reason: str) -> HttpReply:
    """An error as both engines write it."""
    cause = {"type": kind, "reason": reason}
    return json_reply(status, {"error": {"root_cause": [cause], **cause}, "status": status})


class _Responses:
    """See `rebridge_query_dsl.exchange.Responses`."""

    def body(self, response: JsonReply) -> Any:
        """What the engine answered."""
        return response.value

    def rebuilt(self, response: JsonReply, body: Any) -> JsonReply:
        """The same reply with another body."""
        return response.changed(body)


_RESPONSES = _Responses()


class _Talk:
    """One request, as a call that can be changed.

    Attributes:
        call: the call.
        unreadable: why it cannot be looked into, in a word; None if it can.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        # Of several values the last counts.
        params = {name: values[-1] for name, values in parsed(request.query).items()}
        path = request.path.rstrip("/")
        body, self.unreadable = None, _odd(request)
        try:
            body = _body(request, lines=path.endswith("/_msearch"))
        except BadBody as error:
            self.unreadable = str(error)
        self.call = Call(request.method, path, {"params": params, "body": body})

    def request(self, call: Call) -> HttpRequest:
        """The request for a call: the client's own, exactly, where nothing was changed."""
        if call is self.call:
            return self._request
        own, before = self._request, self.call.options
        # The endpoint that renders takes none of a search's parameters.
        rendering = call.path == RENDER_TEMPLATE
        query = "" if rendering else rewritten(own.query, before["params"], call.options["params"])
        changed, body = replace(own, path=call.path, query=query), call.options["body"]
        if body is before["body"]:
            return changed
        if not media_type(own.headers):
            changed = replace(changed, headers=(*own.headers, ("content-type", "application/json")))
        return with_body(changed, b"".join(map(_line, body)) if isinstance(body, list) else dumps(body))

    def outward(self, step: Any) -> Any:
        """What the stories ask for, as HTTP."""
        return Fetch(unconditional(self.request(step.request))) if isinstance(step, Fetch) else step

    def inward(self, step: Any, answer: Any) -> Any:
        """What came of it, as the stories take it.

        Raises:
            ErrorReply: if the engine answered with an error.
        """
        return read_reply(answer) if isinstance(step, Fetch) else answer


def _line(value: Any) -> bytes:
    return dumps(value) + b"\n"


def _body(request: HttpRequest, *, lines: bool) -> Any:
    """The body's value, a list of values for a multi-search; None if there is none.

    Raises:
        BadBody: if it cannot be read.
    """
    text = plain(request.headers, request.body, request.limit)
    if not text:
        return None
    if not media_type(request.headers).endswith("json") or not in_utf8(request.headers):
        raise BadBody("unreadable_body")
    if lines:  # the engines refuse a last line without an end
        return lines_of(text, lambda line: loads(line, strict=True)) if text.endswith(b"\n") else []
    try:
        return loads(text, strict=True)
    except NotJson as error:
        raise BadBody("unreadable_body") from error


def _odd(request: HttpRequest) -> str | None:
    """Why a request must be left alone for what is in its head."""
    accepted = (header(request.headers, "accept") or "*/*").lower()
    kinds = [kind.partition(";")[0].strip() for kind in accepted.split(",")]
    if not any("json" in kind or kind in _ANYTHING for kind in kinds):
        return "format"
    return "unreadable_params" if ";" in request.query else None  # which separates parameters in some versions


def _single(talk: _Talk, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
    single = Single(talk.call, _RESPONSES, None)
    if talk.unreadable is not None:
        return _untouched(talk, bridge, single.target, talk.unreadable)
    if not (yield from readable(bridge, single)):
        return _untouched(talk, bridge, single.target, "template")
    look = bridge.look(single.target, single.request, overrides)
    if look.reason is not None:
        bridge.passed(single.target, look.reason)
        summary = Summary("bypassed", look.reason)
        return Forward(talk.request(single.call(look.native)), (Searched(look.pipeline, summary),), look.refused)
    try:
        outcome = yield from searched(bridge, single, overrides)
    except (ErrorReply, RebridgeError) as error:
        reply = error.reply if isinstance(error, ErrorReply) else failure(500, RERANK_ERROR, told(error))
        return Exchange(reply, (Searched(look.pipeline, _summary(error)),), look.refused)
    return Exchange(single.finished(outcome).http, (Searched(look.pipeline, outcome.summary),), look.refused)


def _multi(talk: _Talk, bridge: Bridge, overrides: Overrides) -> Story[Exchange | Forward]:
    multi = Multi(talk.call, _RESPONSES, told)
    unreadable = talk.unreadable or multi.unreadable
    if unreadable is not None:
        return _untouched(talk, bridge, multi.target, unreadable)
    looks = [bridge.look(request.index, request, overrides) for request in multi.requests]
    refused = tuple(dict.fromkeys(name for look in looks for name in look.refused))
    if all(look.reason is not None for look in looks):
        for request, look in zip(multi.requests, looks, strict=True):
            bridge.passed(request.index, str(look.reason))
        passed = tuple(Searched(look.pipeline, Summary("bypassed", look.reason)) for look in looks)
        return Forward(talk.request(multi.call([look.native for look in looks])), passed, refused)
    try:
        results = yield from searched_together(bridge, multi, overrides)
        reply = multi.finished(results).http
    except OddResponse:
        return _untouched(talk, bridge, multi.target, "odd_reply")
    except ErrorReply as error:
        if bridge.connector.refusal(error):  # what the client hears of it must come from its own request
            return _untouched(talk, bridge, multi.target, "refused")
        return Exchange(error.reply, tuple(Searched(look.pipeline, _summary(error)) for look in looks), refused)
    done = tuple(Searched(look.pipeline, _summary(result)) for look, result in zip(looks, results, strict=True))
    return Exchange(reply, done, refused)


def _untouched(talk: _Talk, bridge: Bridge, target: str | None, reason: str) -> Forward:
    pipeline = bridge.passed(target, reason)
    return Forward(talk.request(talk.call), (Searched(pipeline, Summary("bypassed", reason)),))


def _summary(result: Outcome[Any] | Exception) -> Summary:
    """What was done; of a search that failed, whether it was the engine's doing."""
    if isinstance(result, Outcome):
        return result.summary
    if isinstance(result, RebridgeError):
        return Summary("degraded", result.reason if isinstance(result, ScorerError) else "window_refused")
    return Summary("bypassed", "refused")
