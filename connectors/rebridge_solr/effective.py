"""A request as Solr sees it in the end: parameters, JSON body and the handler's own defaults put together.

The rules are those of Solr's ``RequestUtil.processParams``, tried on Solr 9.10: a key of the JSON body beats the
parameter of its name (``limit`` beats ``rows``), ``fields`` and ``filter`` are added instead; ``json.limit`` beats
the body; parameters of the URL beat the body's ``params``; and all beat the handler's defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rebridge_solr.request import Defaults, Request, texts

#: Keys of the JSON body -> parameters that they replace, and that they are added to.
_REPLACES = {"query": "q", "limit": "rows", "offset": "start", "sort": "sort"}
_ADDS = {"filter": "fq", "fields": "fl"}


class NotJson(ValueError):
    """A request holds JSON that we cannot read. Solr, which is more tolerant, may."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What a request comes to.

    Attributes:
        params: name -> values, none of them empty; JSON queries that are objects are not among them.
        body: the JSON body with all ``json`` parameters merged in; empty if there is none.
        shown: what the request itself says about ``fl``, without the body's ``fields``; None if it says nothing.
    """

    params: Mapping[str, tuple[str, ...]]
    body: Mapping[str, Any]
    shown: tuple[str, ...] | None

    def first(self, name: str, default: str = "") -> str:
        """The first value, which is the one that counts in Solr."""
        return next(iter(self.params.get(name, ())), default)

    def flag(self, name: str) -> bool:
        """A boolean parameter, read as Solr reads it."""
        return self.first(name).lower() in {"true", "on", "yes", "1"}


def effective(request: Request) -> Effective:
    """Put a request together.

    Raises:
        NotJson: if its JSON cannot be read.
    """
    own = {name: texts(value) for name, value in request.params.items()}
    body = _body(request, own)
    inner = body.get("params")
    inside = {name: texts(value) for name, value in inner.items()} if isinstance(inner, Mapping) else {}
    params = {name: values for name, values in (inside | own).items() if values}
    shown = params.get("fl")
    defaults = (request.defaults or Defaults()).params
    params = {**defaults, **params}
    for key, name in _REPLACES.items():
        if key in body and not isinstance(body[key], Mapping):
            params[name] = texts(body[key])
        elif key in body:
            params.pop(name, None)
    for key, name in _ADDS.items():
        plain = [item for item in _listed(body.get(key)) if not isinstance(item, Mapping)]
        if plain:
            params[name] = (*params.get(name, ()), *texts(plain))
    return Effective(params, body, shown)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _body(request: Request, own: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The JSON body, then ``json`` parameters, then ``json.KEY`` parameters, each over what was before."""
    body: dict[str, Any] = dict(request.json or {})
    for text in own.get("json", ()):
        body |= _object(text)
    for name, values in own.items():
        if name.startswith("json.") and values and values[-1]:
            key = name.removeprefix("json.")
            if key in _REPLACES or key in _ADDS:
                body[key] = _json(values[-1])
    return body


def _object(text: str) -> dict[str, Any]:
    value = _json(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise NotJson(f"not a JSON object: {text!r}")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
