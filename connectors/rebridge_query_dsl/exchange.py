"""A client's search call as native requests, and its replies as the client would give them. No I/O happens here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import unquote

from rebridge.errors import RebridgeError
from rebridge.flow import Outcome
from rebridge_query_dsl.replies import ItemError
from rebridge_query_dsl.request import Request

RENDER_TEMPLATE = "/_render/template"
#: The type of an error that is none of the engine's.
RERANK_ERROR = "rerank_error"
_SEARCHES = ("_search", "_search/template", "_msearch")
#: What opensearch-py takes out of the URL's parameters for itself.
_CLIENT_OPTIONS = ("request_timeout", "timeout", "ignore")


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


def is_search(path: str) -> bool:
    """Whether a path is that of a search, search template or multi-search."""
    parts = path.strip("/").split("/", 1)
    return "/".join(parts) in _SEARCHES or parts[-1] in _SEARCHES


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

    def rendering(self) -> Call:
        """The call that renders the template."""
        wanted = {key: self._template[key] for key in ("id", "source", "params") if key in self._template}
        params = {key: self._params[key] for key in _CLIENT_OPTIONS if key in self._params} or None
        return self._call.changed(RENDER_TEMPLATE, params=params, body=wanted, **self._named("render_search_template"))

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

    def received(self, _: Request, response: Any) -> Any:
        """The native reply in the response to a request."""
        self._response = response
        return self._responses.body(response)

    def finished(self, outcome: Outcome[Any]) -> Any:
        """The response that the caller gets."""
        unchanged = outcome.reply is self._responses.body(self._response)
        return self._response if unchanged else self._responses.rebuilt(self._response, outcome.reply)


class Multi:
    """A multi-search as native requests.

    See https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-msearch.

    Args:
        call: the client's call.
        responses: how to look into its responses.
        tell: what the caller is told of a search that we could not answer.
    """

    def __init__(self, call: Call, responses: Responses, tell: Callable[[RebridgeError], str] = str) -> None:
        self._call, self._responses, self._tell = call, responses, tell
        self._response: Any = None
        self.target = target(call.path)
        lines = lines_of(call.options.get("body"))
        #: Why the searches cannot be told apart, in a word; None if they can. A filter over all replies at once can
        #: take away what reranking needs.
        self.unreadable = None if lines else "unreadable_body"
        if "filter_path" in (call.options.get("params") or {}):
            self.unreadable = "filter_path"
        self.requests = [
            Request(_header_index(header) or self.target, _header_params(header), body)
            for header, body in zip(lines[::2], lines[1::2], strict=True)
        ]

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
        index = {"index": native.index} if native.index != self.target else {}
        return {**index, **native.params}

    def received(self, natives: Sequence[Request], response: Any) -> list[Any]:
        """The native replies in the response to native requests, an exception in place of each that failed.

        Raises:
            OddResponse: if there is not one for each request.
        """
        body = self._responses.body(response)
        items = body.get("responses") if isinstance(body, Mapping) else None
        if not isinstance(items, list) or len(items) != len(natives):
            raise OddResponse(response)
        if self._response is None:
            self._response = response
        return [ItemError(item) if isinstance(item, Mapping) and "error" in item else item for item in items]

    def finished(self, results: Sequence[Outcome[Any] | Exception]) -> Any:
        """The response that the caller gets. A search that failed has an error in its place, as engines do it.

        Raises:
            Exception: what ended one of the searches, if it is neither the engine's answer to it nor ours.
        """
        items = [self._item(result) for result in results]
        body = self._responses.body(self._response)
        return self._responses.rebuilt(self._response, {**body, "responses": items})

    def _item(self, result: Outcome[Any] | Exception) -> Any:
        if isinstance(result, ItemError):
            return result.item
        if isinstance(result, RebridgeError):
            return {"error": {"type": RERANK_ERROR, "reason": self._tell(result)}, "status": 500}
        if isinstance(result, Exception):
            raise result
        return result.reply


def lines_of(body: Any, loads: Callable[[str | bytes], Any] = json.loads) -> list[Mapping[str, Any]]:
    """The lines of a multi-search; none if they are not pairs of objects. An empty line is an empty header."""
    try:
        if isinstance(body, bytes):
            body = body.decode()
        if isinstance(body, str):  # not `splitlines`, which also cuts at characters that JSON may hold
            body = body.removesuffix("\n").split("\n")
        lines = [_line(line, loads, header=index % 2 == 0) for index, line in enumerate(body)]
    except (ValueError, TypeError):
        return []
    return lines if len(lines) % 2 == 0 and all(isinstance(line, Mapping) for line in lines) else []


def _line(line: Any, loads: Callable[[str | bytes], Any], *, header: bool) -> Any:
    if not isinstance(line, str | bytes):
        return line
    return {} if header and not line.strip() else loads(line)


def _header_index(header: Mapping[str, Any]) -> str | None:
    index = header.get("index", header.get("indices"))
    if isinstance(index, Sequence) and not isinstance(index, str):
        return ",".join(map(str, index))
    return None if index is None else str(index)


def _header_params(header: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in {"index", "indices"}}
