"""A request as parameters and a body, with its plan written down in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rebridge.errors import ConnectorError
from rebridge.models import PagePlan
from rebridge_solr.effective import Effective, effective
from rebridge_solr.fields import additions, parse_fl
from rebridge_solr.local_params import local_params
from rebridge_solr.reading import MOST
from rebridge_solr.request import GROUP, ID, SCORE, Defaults, Request, known_defaults, passage_key


class Wire(NamedTuple):
    """What goes to Solr.

    Attributes:
        params: name -> text, number, boolean, or a list of them.
        json: the body; None if there is none.
    """

    params: Mapping[str, Any]
    json: Mapping[str, Any] | None


class WindowRefused(ConnectorError):
    """Solr answers with another slice, or other fields, than a widened request asks for; or may do so."""


def on_the_wire(request: Request) -> Wire:
    """The parameters and the body of a request; the very same ones if it has no plan.

    The user's body stays as it is: Solr lets ``json.limit`` and ``json.offset`` beat it, and adds its ``fields`` to
    the parameter ``fl``.

    Raises:
        WindowRefused: if it has a plan, and nobody knows what the handler would make of it.
    """
    plan = request.plan
    if plan is None:
        return Wire(request.params, request.json)
    asked, defaults = effective(request), known_defaults(request, None)
    if not defaults.told:
        raise WindowRefused(f"Solr does not tell what its handler {request.handler!r} does by itself.")
    window = {
        "json.offset" if "offset" in asked.body else "start": plan.fetch_offset,
        "json.limit" if "limit" in asked.body else "rows": min(plan.fetch_size, MOST - plan.fetch_offset),
    }
    base = shown(asked, defaults)
    return Wire({**request.params, **window, "fl": [*base, own_fl(asked, plan, defaults)]}, request.json)


def shown(asked: Effective, defaults: Defaults) -> tuple[str, ...]:
    """The ``fl`` that a widened request starts from: what would be in force without the body's ``fields``."""
    base = asked.shown if asked.shown is not None else defaults.params.get("fl", ())
    if any(value.strip() for value in base):
        return base
    return () if "fields" in asked.body else ("*",)


def own_fl(asked: Effective, plan: PagePlan, defaults: Defaults) -> str:
    """What is added to ``fl``, as one value: id, score, the group of a collapsed hit, and fields for passages."""
    fields = parse_fl(asked.params.get("fl", ()))
    wanted = [(ID, defaults.unique_key), *((GROUP, name) for name in group_field(asked))]
    wanted += [(passage_key(n), name) for n, name in enumerate(plan.fields) if not fields.shows(name)]
    return ",".join([*additions(fields, wanted), f"{SCORE}:score"])


def group_field(asked: Effective) -> tuple[str, ...]:
    """The field whose values are the keys of ``expanded``; none if hits are not expanded."""
    if not asked.flag("expand"):
        return ()
    if "expand.field" in asked.params:
        return asked.params["expand.field"][:1]
    filters = (local_params(query, lambda name: asked.params.get(name, ())) for query in asked.params.get("fq", ()))
    fields = [found.first("field") for found in filters if found is not None and found.first("type") == "collapse"]
    return tuple(field for field in fields if field)[:1]


def checked(request: Request, reply: Any) -> Any:
    """The reply to a request, once it is sure that a plan was followed.

    A handler may fix ``rows`` or ``fl`` whatever a request says (``invariants``), and nothing in the reply tells.

    Raises:
        WindowRefused: if the handler answered another slice or other fields.
    """
    plan = request.plan
    response = reply.get("response") if plan is not None and isinstance(reply, Mapping) else None
    if plan is None or not isinstance(response, Mapping) or not isinstance(response.get("docs"), list):
        return reply
    hits, total = response["docs"], response.get("numFound")
    if any(not isinstance(hit, Mapping) or ID not in hit or SCORE not in hit for hit in hits):
        raise WindowRefused("Solr does not show the fields that were asked for; is fl among the handler's invariants?")
    if isinstance(total, int) and len(hits) < min(plan.fetch_size, max(0, total - plan.fetch_offset)):
        raise WindowRefused(f"Solr gives {len(hits)} hits for a window of {plan.fetch_size}; are rows an invariant?")
    return reply
