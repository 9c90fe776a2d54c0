"""`AsyncSolr`: searches of Solr that do not block the event loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from rebridge.errors import MissingExtra

try:
    import httpx
    import pysolr
except ModuleNotFoundError as error:
    raise MissingExtra("The solr connector", "solr") from error

#: Longest query string that goes into the URL, in characters, as in pysolr; longer ones are posted as a form.
_LONGEST = 1024
_FORM = {"Content-type": "application/x-www-form-urlencoded; charset=utf-8"}


class AsyncSolr:
    """`pysolr.Solr`'s search, asynchronous: the same parameters, results and errors.

    Args:
        url: address of the core or collection, e.g. ``http://localhost:8983/solr/docs``.
        client: what sends the requests, with its own authentication, TLS and limits; it is not closed here. A client
            of its own otherwise.
        search_handler: the request handler, unless a search names another.
        decoder: decodes replies; anything with ``decode``.
        results_cls: what a search returns, called with the decoded reply.
        timeout: seconds to wait for an answer.
    """

    def __init__(  # noqa: PLR0913 - pysolr's own options
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        search_handler: str = "select",
        decoder: Any = None,
        results_cls: Callable[..., Any] = pysolr.Results,
        timeout: float = 60.0,
    ) -> None:
        self.url = url
        self.client = client or httpx.AsyncClient()
        self.search_handler = search_handler
        self.decoder = decoder or json.JSONDecoder()
        self.results_cls = results_cls
        self.timeout = timeout
        self._owns_client = client is None

    async def search(self, q: Any, search_handler: str | None = None, **kwargs: Any) -> Any:
        """Search, and give the results.

        Args:
            q: the query.
            search_handler: a handler other than the client's.
            **kwargs: further parameters, with values as `pysolr.Solr.search` takes them.

        Returns:
            ``results_cls`` of the reply. With ``cursorMark`` it is the one page that was asked for.

        Raises:
            pysolr.SolrError: if Solr cannot be reached, or answers with an error.
        """
        response = await self._select({"q": q, **kwargs}, search_handler)
        return self.results_cls(self.decoder.decode(response))

    async def aclose(self) -> None:
        """Close the connections, unless the client was given."""
        if self._owns_client:
            await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _select(self, params: dict[str, Any], handler: str | None = None) -> Any:
        params.setdefault("wt", "json")
        encoded = urlencode(params, doseq=True)
        path = f"{handler or self.search_handler or 'select'}/"
        if len(encoded) < _LONGEST:
            return await self._send_request("get", f"{path}?{encoded}")
        return await self._send_request("post", path, encoded, _FORM)

    async def _send_request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> str:
        url = f"{self.url.rstrip('/')}/{path.lstrip('/')}"
        shown = _without_user(url)
        try:
            reply = await self.client.request(method.upper(), url, content=body, headers=headers, timeout=self.timeout)
        except httpx.TimeoutException as error:
            raise pysolr.SolrError(f"Connection to server '{shown}' timed out: {error}") from error
        except httpx.HTTPError as error:
            raise pysolr.SolrError(f"Failed to connect to server at {shown}: {error}") from error
        if reply.status_code != httpx.codes.OK:
            raise pysolr.SolrError(f"Solr responded with an error (HTTP {reply.status_code}): {_reason(reply)}")
        return reply.text


def _without_user(url: str) -> str:
    """An address without the user and password that it may hold, for messages."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _reason(reply: httpx.Response) -> str:
    """What Solr says, or the beginning of whatever else answered."""
    try:
        return f"[Reason: {reply.json()['error']['msg']}]"
    except (ValueError, KeyError, TypeError):
        return f"[Reason: None]\n{reply.text}"
