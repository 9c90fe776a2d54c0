"""What a request handler does by itself, as Solr tells it: one search for nothing, and the schema's unique key.

Without it one cannot add to an ``fl`` that ``solrconfig.xml`` holds, nor see a default sort or page size.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from rebridge.http import NoAnswer
from rebridge.steps import Fetch
from rebridge_solr.fields import parse_fl
from rebridge_solr.request import UNTOLD, Defaults, Request, texts

# A search without a query, whose reply tells the handler's parameters. It finds nothing, unless the handler has a query
# of its own, and asks for nothing that costs time.
_PROBE: Mapping[str, str] = {
    "echoParams": "all",
    "omitHeader": "false",
    "wt": "json",
    "facet": "false",
    "hl": "false",
    "stats": "false",
    "spellcheck": "false",
    "debug": "false",
}
#: The path, below the core or collection, where the schema's unique key is.
UNIQUE_KEY = "schema/uniquekey?wt=json"

_WHERE = frozenset({"qt", "collection"})  # parameters that choose where a request goes
# Solr makes up an rid for each request.
_NOT_THE_HANDLERS = _PROBE.keys() | _WHERE | {"rid"}


class Ask(NamedTuple):
    """What must be asked of Solr: a search with these parameters, or a path below the core or collection."""

    kind: Literal["search", "path"]
    what: Any


def learning(request: Request, decode: Callable[[Any], Any]) -> Generator[Fetch, Any, Defaults]:
    """Find out what the handler of a request does by itself.

    Args:
        request: a request for the handler.
        decode: from the text of a reply to its value.

    Yields:
        A `Fetch` of each `Ask`; it expects the text of the reply by `send`, or the failure by `throw`.

    Returns:
        The defaults; `UNTOLD` if the handler fails or does not tell its parameters.

    Raises:
        NoAnswer: if it is thrown in.
    """

    def answer(kind: Literal["search", "path"], what: Any) -> Generator[Fetch, Any, Any]:
        try:
            return decode((yield Fetch(Ask(kind, what))))
        except NoAnswer:
            raise
        except Exception:  # noqa: BLE001 - no answer tells nothing, as an odd one
            return None

    probe = {**_PROBE, **{name: request.params[name] for name in _WHERE & request.params.keys()}}
    echo = yield from answer("search", probe)
    if _params(echo).get("echoParams") != "all":
        return UNTOLD
    # Not everybody may read the schema.
    found = _learnt(echo, (yield from answer("path", UNIQUE_KEY)))
    if not found.tells_max_score or not parse_fl(found.params.get("fl", ())).score_keys:
        return found
    without_scores = yield from answer("search", {**probe, "fl": found.unique_key})
    return replace(found, tells_max_score=_tells_max_score(without_scores))


def _learnt(echo: Any, key: Any) -> Defaults:
    """The handler's defaults from the decoded replies; the unique key is ``id`` if that reply is odd."""
    params = {name: texts(value) for name, value in _params(echo).items() if name not in _NOT_THE_HANDLERS}
    name = key.get("uniqueKey") if isinstance(key, Mapping) else None
    return Defaults(params, name if isinstance(name, str) else "id", _tells_max_score(echo))


def _params(reply: Any) -> Mapping[str, Any]:
    return _inside(_inside(reply, "responseHeader"), "params")


def _tells_max_score(reply: Any) -> bool:
    return "maxScore" in _inside(reply, "response")


def _inside(value: Any, key: str) -> Mapping[str, Any]:
    """The object under a key; an empty one if there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
