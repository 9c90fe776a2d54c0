"""A client's search call as native requests, and its replies as the client would give them. No I/O happens here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import unquote

from rebridge.flow import Outcome
from rebridge_query_dsl.replies import ItemError
from rebridge_query_dsl.request import Request

RENDER_TEMPLATE = "/_render/template"


class Call:
    """One HTTP call of a client, before it is sent.

    Attributes:
        method: the HTTP method.
        path: the URL's path.
        options: the other arguments of the client's own ``perform_request``: ``params``, ``headers``, ``body`` ...
    """

    __slots__ = ("method", "options", "path")

    def __init__(self, method: str, path: str, options: Mapping[str, Any]) -> None:
        self.method, self.path, self.options = method, path, options

    def changed(self, path: str | None = None, **options: Any) -> Call:
        """The same call but for these."""
        return Call(self.method, path or self.path, {**self.options, **options})


class Responses(Protocol):
    """How a client hands over a decoded response."""

    def body(self, response: Any) -> Any:
        """What the engine answered."""

    def rebuilt(self, response: Any, body: Any) -> Any:
        """A response of the same type with another body."""


def target(path: str) -> str | None:
    """The index in a search's path, as it was before it was quoted; None if it names none."""
    index, _, rest = path.strip("/").partition("/")
    return unquote(index) if rest.partition("/")[0] in {"_search", "_msearch"} else None


class OddResponse(Exception):
    """A response that is not what was asked for; the caller gets it as it is.

    Attributes:
        response: the response.
    """

    def __init__(self, response: Any) -> None:
        super().__init__(response)
        self.response = response


class Single:
    """A search, or a search by template, as one native request."""

    def __init__(self, call: Call, responses: Responses, rerank_query: str | None) -> None:
        self._call, self._responses = call, responses
        self._response: Any = None
        self.is_template = call.path.endswith("/_search/template")
        self._search_path = call.path.removesuffix("/template")
        self.target = target(self._search_path)
        self._params = call.options.get("params") or {}
        self._body = call.options.get("body")
        self._request = Request(self.target, self._params, self._body, rerank_query=rerank_query)
        self._template: Mapping[str, Any] = self._body if isinstance(self._body, Mapping) else {}

    @property
    def readable(self) -> bool:
        """Whether the body can be looked into; clients also send text that was serialised before."""
        return self._body is None or isinstance(self._body, Mapping)

    def rendering(self) -> Call:
        """The call that renders the template."""
        wanted = {key: self._template[key] for key in ("id", "source", "params") if key in self._template}
        return self._call.changed(RENDER_TEMPLATE, params=None, body=wanted, **self._named("render_search_template"))

    def rendered(self, response: Any) -> bool:
        """Take the rendered template; returns whether it is one."""
        answer = self._responses.body(response)
        body = answer.get("template_output") if isinstance(answer, Mapping) else None
        if not isinstance(body, Mapping):
            return False
        kept = {key: self._template[key] for key in ("explain", "profile") if key in self._template}
        self._request = replace(self._request, body={**body, **kept}, template=self._template)
        return True

    @property
    def request(self) -> Request:
        """The native request."""
        return self._request

    def call(self, native: Request) -> Call:
        """The call for a native request: the user's own, exactly, where nothing was changed."""
        body = native.body if native.template is None else native.template
        path = self._search_path if native.template is None else self._call.path
        changes = {
            **({} if native.params is self._params else {"params": native.params}),
            **({} if body is self._body else {"body": body}),
        }
        if path != self._call.path:
            changes |= self._named("search")
        return self._call.changed(path, **changes) if changes else self._call

    def _named(self, endpoint: str) -> dict[str, Any]:
        """The endpoint's name, which elasticsearch-py puts into traces."""
        return {"endpoint_id": endpoint} if "endpoint_id" in self._call.options else {}

    def received(self, response: Any) -> Any:
        """The native reply in a response."""
        self._response = response
        return self._responses.body(response)

    def finished(self, outcome: Outcome[Any]) -> Any:
        """The response that the caller gets."""
        unchanged = outcome.reply is self._responses.body(self._response)
        return self._response if unchanged else self._responses.rebuilt(self._response, outcome.reply)


class Multi:
    """A multi-search as native requests.

    See https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-msearch.
    """

    def __init__(self, call: Call, responses: Responses, rerank_query: str | None) -> None:
        self._call, self._responses = call, responses
        self._response: Any = None
        self._target = target(call.path)
        self._lines = _lines(call.options.get("body"))
        # A filter over all replies at once can take away what reranking needs.
        filtered = "filter_path" in (call.options.get("params") or {})
        self.readable = bool(self._lines) and not filtered
        self.requests = [
            Request(_header_index(header) or self._target, _header_params(header), body, rerank_query=rerank_query)
            for header, body in self._pairs()
        ]

    def _pairs(self) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        return zip(self._lines[::2], self._lines[1::2], strict=True) if self.readable else iter(())

    def call(self, natives: Sequence[Request]) -> Call:
        """The call for native requests: the user's own, exactly, where nothing was changed."""
        unchanged = len(natives) == len(self.requests) and all(
            native.body is request.body for native, request in zip(natives, self.requests, strict=True)
        )
        if unchanged:
            return self._call
        lines = [line for native in natives for line in (self._header(native), native.body)]
        # Some clients hand over lists, others the lines as text.
        listed = not isinstance(self._call.options["body"], str | bytes)
        return self._call.changed(body=lines if listed else "".join(f"{json.dumps(line)}\n" for line in lines))

    def _header(self, native: Request) -> dict[str, Any]:
        index = {"index": native.index} if native.index != self._target else {}
        return {**index, **native.params}

    def received(self, response: Any, expected: int) -> list[Any]:
        """The native replies in a response, an exception in place of each that failed.

        Raises:
            OddResponse: if it does not hold as many as expected.
        """
        body = self._responses.body(response)
        items = body.get("responses") if isinstance(body, Mapping) else None
        if not isinstance(items, list) or len(items) != expected:
            raise OddResponse(response)
        if self._response is None:
            self._response = response
        return [ItemError(item) if isinstance(item, Mapping) and "error" in item else item for item in items]

    def finished(self, results: Sequence[Outcome[Any] | Exception]) -> Any:
        """The response that the caller gets.

        Raises:
            Exception: what ended one of the searches, if it is not the engine's own answer to it.
        """
        items = [_item(result) for result in results]
        body = self._responses.body(self._response)
        return self._responses.rebuilt(self._response, {**body, "responses": items})


def _item(result: Outcome[Any] | Exception) -> Any:
    if isinstance(result, ItemError):
        return result.item
    if isinstance(result, Exception):
        raise result
    return result.reply


def _lines(body: Any) -> list[Mapping[str, Any]]:
    """The lines of a multi-search; none if they are not pairs of objects."""
    if isinstance(body, str | bytes):
        body = body.splitlines()
    if not isinstance(body, Sequence):
        return []
    try:
        lines = [json.loads(line) if isinstance(line, str | bytes) else line for line in body if line not in ("", b"")]
    except ValueError:
        return []
    return lines if len(lines) % 2 == 0 and all(isinstance(line, Mapping) for line in lines) else []


def _header_index(header: Mapping[str, Any]) -> str | None:
    index = header.get("index", header.get("indices"))
    return ",".join(map(str, index)) if isinstance(index, Sequence) and not isinstance(index, str) else index


def _header_params(header: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in {"index", "indices"}}
