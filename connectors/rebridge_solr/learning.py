"""What a request handler does by itself, asked once: one search for nothing, and the schema's unique key.

Without it one cannot add to an ``fl`` that ``solrconfig.xml`` holds, nor see a default sort or page size.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from rebridge.steps import Fetch
from rebridge_solr.fields import parse_fl
from rebridge_solr.request import Defaults, Request, texts

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

# Parameters that choose where a request goes, and one that Solr makes up for each.
_WHERE, _CHATTER = frozenset({"qt", "collection"}), frozenset({"rid"})


class Ask(NamedTuple):
    """What must be asked of Solr: a search with these parameters, or a path below the core or collection."""

    kind: Literal["search", "path"]
    what: Any


def learning(request: Request, decode: Callable[[Any], Any]) -> Generator[Fetch, Any, Defaults | None]:
    """Find out what the handler of a request does by itself.

    Args:
        request: a request for the handler.
        decode: from the text of a reply to its value.

    Yields:
        A `Fetch` of each `Ask`; it expects the text of the reply by `send`, or the failure by `throw`.

    Returns:
        The defaults; None if the handler fails, and whoever sends the request itself will see why.
    """
    where = {name: request.params[name] for name in _WHERE & request.params.keys()}
    try:
        probe = yield Fetch(Ask("search", {**_PROBE, **where}))
    except Exception:  # noqa: BLE001 - see "Returns"
        return None
    try:
        key = yield Fetch(Ask("path", UNIQUE_KEY))
    except Exception:  # noqa: BLE001 - not everybody may read the schema
        key = ""
    found = learnt(decode(probe), decode(key))
    if not found.tells_max_score or not parse_fl(found.params.get("fl", ())).score_keys:
        return found
    try:
        probe = yield Fetch(Ask("search", {**_PROBE, **where, "fl": found.unique_key}))
    except Exception:  # noqa: BLE001 - as above
        return found
    return replace(found, tells_max_score=learnt(decode(probe), None).tells_max_score)


def learnt(probe: Any, key: Any) -> Defaults:
    """The handler's defaults, as far as the decoded replies tell them; Solr's own if the replies are odd."""
    echo = _inside(_inside(probe, "responseHeader"), "params")
    params = {name: texts(value) for name, value in echo.items() if name not in _PROBE.keys() | _WHERE | _CHATTER}
    name = key.get("uniqueKey") if isinstance(key, Mapping) else None
    return Defaults(params, name if isinstance(name, str) else "id", "maxScore" in _inside(probe, "response"))


def _inside(value: Any, key: str) -> Mapping[str, Any]:
    """The object under a key; an empty one if there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
