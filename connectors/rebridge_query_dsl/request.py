"""A search request as Elasticsearch and OpenSearch take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A search, before any client or HTTP library has put it on the wire. Nobody changes what is in it.

    Attributes:
        index: names, aliases and patterns, separated by commas, as in the URL; None searches everything.
        params: the URL's parameters, as a client or an HTTP request gives them: values may be text, numbers,
            booleans or lists. They beat keys of the same name in the body.
        body: the search body; None if there is none. For a template the body that it renders to.
        template: the body of a search template request. What is sent unchanged goes to ``_search/template`` then.
        rerank_query: query text for the scorer, where the caller gives it explicitly.
    """

    index: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    template: Mapping[str, Any] | None = None
    rerank_query: str | None = None
