"""A user's request -> the request for the rank window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rebridge.models import PagePlan
from rebridge_query_dsl.asked_fields import missing_fields
from rebridge_query_dsl.options import page_of, url_params
from rebridge_query_dsl.pinning import most_hits, pinned
from rebridge_query_dsl.request import Request


def widened(request: Request, plan: PagePlan, *, unmapped: bool) -> Request:
    """The same request for the plan's slice, with the plan's fields in each hit and nothing filtered away.

    Args:
        request: the user's own, a template's rendered.
        plan: the slice.
        unmapped: whether the engine's ``fields`` option knows ``include_unmapped``.
    """
    body, params = dict(request.body or {}), dict(url_params(request))
    params.pop("filter_path", None)
    size = _size(body, plan)
    if page_of(request) != (plan.fetch_offset, size):
        body = pinned(body, plan.size)
        place = params if request.body is None else body
        for key, value in (("from", plan.fetch_offset), ("size", size)):
            params.pop(key, None)
            place[key] = value
    missing = missing_fields(request, plan.fields)
    if missing and isinstance(body.get("fields", []), list):
        body["fields"] = [*body.get("fields", ()), *_entries(missing, unmapped=unmapped)]
    return replace(
        request,
        params=request.params if params == request.params else params,
        body=request.body if body == (request.body or {}) else body,
        template=None,
    )


def _size(body: dict[str, Any], plan: PagePlan) -> int:
    """The plan's size, or the most that the request can give, if its own page is not above that."""
    most = most_hits(body)
    return plan.fetch_size if most is None or plan.size > most else min(plan.fetch_size, most)


def _entries(names: Iterable[str], *, unmapped: bool) -> list[Any]:
    return [{"field": name, "include_unmapped": True} if unmapped else name for name in names]
