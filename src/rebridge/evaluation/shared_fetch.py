"""One request to the first stage for any number of pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from rebridge.connector import Connector
from rebridge.drivers import run
from rebridge.errors import BadReply
from rebridge.flow import Outcome, first_stage_flow, plan_page, rerank_flow
from rebridge.models import Candidate, PagePlan, RankedHit

if TYPE_CHECKING:
    from rebridge.connector import Engine
    from rebridge.pipeline import Pipeline
    from rebridge.scorers import Scorer


@dataclass(frozen=True, slots=True)
class Found:
    """What a pipeline made of a query.

    Attributes:
        outcome: the same as over the engine itself. A bypassed one has its hits too, in the engine's order.
        window: the hits that the first stage put into the rank window, as far as they were fetched.
    """

    outcome: Outcome[Any]
    window: tuple[Candidate, ...]


class SharedFetch:
    """The first stage's hits for one request, fetched once with the widest window and all fields of the passages.

    Each pipeline runs its own flow over that reply, of which it sees the slice that it asked for. That is the same as
    running it over the engine, because a connector's wider request changes nothing but the slice and the added fields.
    A request that must not be widened, or a wide one that the engine refuses or answers in part, is not shared: then
    each pipeline asks the engine itself, just as it does when it serves.

    Args:
        engine: where requests go.
        request: the engine's own request.
        pipelines: those that will `search`; all of the same connector.
    """

    def __init__(self, engine: Engine[Any, Any], request: Any, pipelines: Sequence[Pipeline]) -> None:
        self._engine, self._request = engine, request
        self._connector = pipelines[0].connector
        self._reply: Any = None
        self._candidates: Sequence[Candidate] | None = None
        self._asked = self._connector.read(request)
        if self._asked.bypass is None:
            self._fetch(_widest([plan_page(self._asked, pipeline) for pipeline in pipelines]))

    def _fetch(self, plan: PagePlan) -> None:
        try:
            reply = self._engine.search(self._connector.widen(self._asked.native, plan))
            if self._connector.refusal(reply) is None:
                self._reply, self._candidates = reply, self._connector.parse(reply, plan)
        except BadReply:
            return  # for the pipelines' own flows to judge
        except Exception as error:
            if self._connector.refusal(error) is None:
                raise

    def search(self, pipeline: Pipeline, scorer: Scorer | None = None, *, rerank: bool = True) -> Found:
        """Answer the request by one pipeline, without its fallbacks: figures are those of one model.

        Args:
            pipeline: one of those given.
            scorer: scores passages; None only without reranking.
            rerank: False for the first stage alone.
        """
        view = _View(self._connector, self._reply, self._candidates)
        own = replace(pipeline, connector=cast("Connector[Any, Any]", view), fallbacks=())
        outcome: Outcome[Any] = run(
            (rerank_flow if rerank else first_stage_flow)(self._request, own), self._send, scorer
        )
        if rerank and outcome.summary.status == "bypassed":
            shown = run(first_stage_flow(self._request, own), self._send)
            outcome = replace(outcome, page=shown.page, terms=shown.terms)
        seen = view.seen if self._candidates is None else self._candidates
        return Found(outcome, tuple(candidate for candidate in seen if candidate.rank <= pipeline.rank_window))

    def _send(self, request: Any) -> Any:
        if self._candidates is None:
            return self._engine.search(request)
        if request != self._asked.native:  # a wider one, of whose reply `_View` reads a slice
            return self._reply
        first, last = self._asked.offset + 1, self._asked.offset + self._asked.size
        page = [RankedHit(hit, hit.rank, hit.score) for hit in self._candidates if first <= hit.rank <= last]
        return self._connector.render(request, self._reply, page, None)


class _View:
    """A connector that reads only a slice of the shared reply, and remembers what it read.

    Args:
        connector: does all the rest.
        reply: the shared reply.
        candidates: all of its hits; None if nothing is shared.
    """

    def __init__(self, connector: Connector[Any, Any], reply: Any, candidates: Sequence[Candidate] | None) -> None:
        self._connector, self._reply, self._candidates = connector, reply, candidates
        self.seen: Sequence[Candidate] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def parse(self, reply: Any, plan: PagePlan) -> Sequence[Candidate]:
        """The hits of the plan's slice."""
        if self._candidates is None or reply is not self._reply:
            self.seen = self._connector.parse(reply, plan)
        else:
            first, last = plan.fetch_offset + 1, plan.fetch_offset + plan.fetch_size
            self.seen = [candidate for candidate in self._candidates if first <= candidate.rank <= last]
        return self.seen


def _widest(plans: Sequence[PagePlan]) -> PagePlan:
    """The plan that holds all others."""
    start = min(plan.fetch_offset for plan in plans)
    end = max(plan.fetch_offset + plan.fetch_size for plan in plans)
    fields = tuple(dict.fromkeys(name for plan in plans for name in plan.fields))
    window = max(plan.rank_window for plan in plans)
    return replace(plans[0], rank_window=window, fetch_offset=start, fetch_size=end - start, fields=fields)
