"""A search request as Solr takes it, and what must be known of its handler to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rebridge.models import PagePlan

#: Names of what we add to documents. Solr has no field of such a name unless somebody means harm.
OWN = "_rebridge_"
ID, SCORE, GROUP = f"{OWN}id_", f"{OWN}score_", f"{OWN}group_"


def passage_key(number: int) -> str:
    """The name under which the passage field of this number is asked for where it would not be shown by itself."""
    return f"{OWN}{number}_"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request handler does by itself, as learnt from Solr.

    Attributes:
        params: the parameters that the handler adds to a request without any, e.g. ``fl``, ``rows``, ``df``.
        unique_key: the field that identifies a document.
        tells_max_score: replies hold ``maxScore`` even if nobody asks for scores, as those of several shards do.
        told: whether the handler told this. If it did not, nobody knows how to widen a request to it.
    """

    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unique_key: str = "id"
    tells_max_score: bool = False
    told: bool = True


#: Of a handler that was asked and did not tell.
UNTOLD = Defaults(told=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A search, before any client or HTTP library has put it on the wire. Nobody changes what is in it.

    Attributes:
        params: name -> text, number, boolean, or a list of them, as `pysolr.Solr.search` takes them or as parsed from
            a URL or form.
        json: the body of the JSON Request API
            (https://solr.apache.org/guide/solr/latest/query-guide/json-request-api.html); None if there is none.
        handler: the request handler's path below the collection, e.g. ``select``.
        defaults: what the handler does by itself; None if nobody has asked it, for Solr's own defaults.
        rerank_query: query text for the scorer, where the caller gives it explicitly.
        plan: the slice and the fields to ask for instead of the request's own. `rebridge_solr.wire.on_the_wire`
            writes it down as parameters, once the defaults are known.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    handler: str = "select"
    defaults: Defaults | None = None
    rerank_query: str | None = None
    plan: PagePlan | None = None


class Reply(dict[str, Any]):
    """A reply that remembers what its handler does by itself."""

    __slots__ = ("defaults",)

    def __init__(self, reply: Mapping[str, Any], defaults: Defaults) -> None:
        super().__init__(reply)
        self.defaults = defaults


def known_defaults(request: Request | None, reply: Any) -> Defaults:
    """What is known of the handler: from the request, or else from the reply."""
    own = None if request is None else request.defaults
    return own or getattr(reply, "defaults", None) or Defaults()


def texts(value: Any) -> tuple[str, ...]:
    """A parameter's values as they go on the wire: ``urllib.parse.urlencode(..., doseq=True)``, as pysolr does."""
    if isinstance(value, bytes):
        return (value.decode("utf-8", "replace"),)
    if isinstance(value, list | tuple):
        return tuple(text for inner in value for text in texts(inner))
    return (str(value),)
