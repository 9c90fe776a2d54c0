"""Whether a reply through the server is the engine's own, or a right reranking of it. Nothing here does I/O."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

#: How long the engine itself took, which differs from call to call.
_TOOK = re.compile(rb'"(took|QTime)":\s*\d+')
_ENGINE = re.compile(r"engine;dur=([0-9.]+)")
#: Between the same model's scores in batches of another shape.
TOLERANCE = 1e-3
_OK = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply.

    Attributes:
        status: HTTP status.
        rerank: the header ``X-Rerank``; empty if there is none.
        body: out of its compression.
        timing: the header ``Server-Timing``; empty if there is none.
    """

    status: int
    rerank: str
    body: bytes
    timing: str = ""

    @property
    def engine_ms(self) -> float:
        """What the engine took of the time, as the server says."""
        said = _ENGINE.search(self.timing)
        return float(said[1]) if said else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply is.

    Attributes:
        outcome: ``passed``, ``applied``, ``degraded: REASON``, ``refused: STATUS`` or ``error: STATUS``.
        wrong: what is wrong with it; None if nothing is.
    """

    outcome: str
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an engine's replies have their hits.

    Attributes:
        take: the hits, and the rest of the reply without what differs from call to call.
        doc_id: the id of a hit.
    """

    take: Callable[[Mapping[str, Any]], tuple[list[dict[str, Any]], dict[str, Any]]]
    doc_id: Callable[[Mapping[str, Any]], str]


def _without(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in names}


def _query_dsl(reply: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rest = {**_without(reply, "took", "_rerank"), "hits": _without(reply["hits"], "hits", "max_score")}
    return reply["hits"]["hits"], rest


def _solr(reply: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    header = _without(reply["responseHeader"], "QTime", "params")
    found = _without(reply["response"], "docs", "maxScore")
    return reply["response"]["docs"], {**_without(reply, "_rerank"), "responseHeader": header, "response": found}


QUERY_DSL = Shape(_query_dsl, lambda hit: str(hit["_id"]))
SOLR = Shape(_solr, lambda hit: str(hit["id"]))


def passed(reply: Reply, direct: Reply) -> Verdict:
    """A reply that must be the engine's own, byte for byte but for the time it took."""
    if reply.status != direct.status:
        return Verdict(f"error: {reply.status}", f"status {reply.status}, the engine's is {direct.status}")
    same = _TOOK.sub(b"", reply.body) == _TOOK.sub(b"", direct.body)
    return Verdict("passed", None if same else "another body than the engine's")


def reranked(reply: Reply, page: Reply, window: Reply, shape: Shape) -> Verdict:
    """A reranked page, or one in the engine's own order that says so.

    Args:
        reply: the page as the server gave it.
        page: the same page as the engine gives it.
        window: the engine's rank window, and all up to the end of the page.
        shape: of the engine.
    """
    if reply.status != page.status:
        return Verdict(f"error: {reply.status}", f"status {reply.status}, the engine's is {page.status}")
    return found(json.loads(reply.body), json.loads(page.body), json.loads(window.body), shape, reply.rerank)


def found(
    reply: Mapping[str, Any], page: Mapping[str, Any], window: Mapping[str, Any], shape: Shape, told: str
) -> Verdict:
    """As `reranked`, of the replies' values; ``told`` is the header ``X-Rerank``."""
    about = reply.get("_rerank", {})
    status, reason = about.get("status", "not said"), about.get("reason")
    outcome = status if status == "applied" else f"{status}: {reason}"
    (hits, rest), (own, own_rest) = shape.take(reply), shape.take(page)
    if rest != own_rest:
        differing = [name for name in {*rest, *own_rest} if rest.get(name) != own_rest.get(name)]
        return Verdict(outcome, f"another {' and '.join(sorted(differing))} than the engine's")
    if status not in told:
        return Verdict(outcome, f"the body says {status}, the header {told or 'nothing'}")
    wrong = {"applied": _applied, "degraded": _degraded}.get(status, _unsaid)
    return Verdict(outcome, wrong(hits, own, shape.take(window)[0], shape))


def _applied(hits: Sequence[Any], own: Sequence[Any], window: Sequence[Any], shape: Shape) -> str | None:
    """What is wrong with a page in the model's order."""
    known = {shape.doc_id(hit): _content(hit) for hit in window}
    ids = [shape.doc_id(hit) for hit in hits]
    if len(ids) != len(own):
        return f"{len(ids)} hits, the engine has {len(own)}"
    if len(set(ids)) != len(ids):
        return "a hit occurs twice"
    if strange := [doc_id for doc_id in ids if doc_id not in known]:
        return f"hits that are not in the rank window: {', '.join(strange[:3])}"
    if any(known[shape.doc_id(hit)] != _content(hit) for hit in hits):
        return "a hit with another content than the engine's"
    scores = [_score(hit) for hit in hits]
    told = [score for score in scores if score is not None]
    if any(below > above for above, below in pairwise(told)):
        return "scores that rise"
    return None


def _degraded(hits: Sequence[Any], own: Sequence[Any], _: Sequence[Any], shape: Shape) -> str | None:
    """What is wrong with a page in the engine's order."""
    if [shape.doc_id(hit) for hit in hits] != [shape.doc_id(hit) for hit in own]:
        return "another order than the engine's"
    if any(_without(hit, "_rerank") != dict(theirs) for hit, theirs in zip(hits, own, strict=True)):
        return "a hit with another content or score than the engine's"
    return None


def _unsaid(*_: Any) -> str:
    return "neither applied nor degraded"


def _content(hit: Mapping[str, Any]) -> dict[str, Any]:
    return _without(hit, "_score", "score", "_rerank")


def _score(hit: Mapping[str, Any]) -> float | None:
    score = hit.get("_score", hit.get("score"))
    return score if isinstance(score, int | float) else None


def searches(reply: Reply, direct: Reply, windows: Sequence[Any], shape: Shape = QUERY_DSL) -> Verdict:
    """A multi-search, of which some searches are to be reranked.

    Args:
        reply: as the server gave it.
        direct: as the engine gives it.
        windows: per search the value of the engine's reply with the rank window; None for one that must pass.
        shape: of the engine.
    """
    if reply.status != direct.status:
        return Verdict(f"error: {reply.status}", f"status {reply.status}, the engine's is {direct.status}")
    ours, theirs = json.loads(reply.body)["responses"], json.loads(direct.body)["responses"]
    if len(ours) != len(theirs):
        return Verdict("applied", f"{len(ours)} responses, the engine has {len(theirs)}")
    verdicts = [
        found(one, own, window, shape, reply.rerank)
        for one, own, window in zip(ours, theirs, windows, strict=True)
        if window is not None
    ]
    for one, own, window in zip(ours, theirs, windows, strict=True):
        if window is None and _without(one, "took", "_rerank") != _without(own, "took"):
            return Verdict("bypassed", "a search that passes is another than the engine's")
    return next((verdict for verdict in verdicts if verdict.wrong), verdicts[0])


def scores(reply: Reply, reference: Sequence[float], refusals: Mapping[int, str]) -> Verdict:
    """An answer of the rerank API: every document once, best first, with the scores that it got on an idle server.

    Args:
        reply: as the server gave it.
        reference: the scores by index.
        refusals: statuses that may be answered under load, and what they mean.
    """
    if reply.status in refusals:
        return Verdict(f"refused: {refusals[reply.status]}")
    if reply.status != _OK:
        return Verdict(f"error: {reply.status}", f"status {reply.status}")
    results = json.loads(reply.body)["results"]
    got = {item["index"]: item["relevance_score"] for item in results}
    if sorted(got) != list(range(len(reference))) or len(results) != len(reference):
        return Verdict("applied", "not every document once")
    if not all(math.isclose(got[at], score, abs_tol=TOLERANCE) for at, score in enumerate(reference)):
        return Verdict("applied", "other scores than on an idle server")
    ordered = [item["relevance_score"] for item in results]
    return Verdict("applied", None if ordered == sorted(ordered, reverse=True) else "not the best first")
