"""Solr's replies: taken apart, and put together again with other hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rebridge.errors import BadReply
from rebridge.models import Candidate, PagePlan, RankedHit
from rebridge_solr.effective import Effective, effective
from rebridge_solr.fields import parse_fl
from rebridge_solr.request import GROUP, ID, OWN, SCORE, Request, known_defaults, passage_key, texts

NativeReply = Mapping[str, Any]
Hit = Mapping[str, Any]
#: Parts of a reply that are keyed by the documents' unique key, and parts that hold further documents.
_BY_KEY, _WITH_DOCS = (
    frozenset({"highlighting", "moreLikeThis", "termVectors"}),
    frozenset({"expanded", "moreLikeThis"}),
)
#: Parameters that a widened request sets.
_SET = ("start", "rows", "json.offset", "json.limit", "fl")
#: Parameters that a client adds.
_CLIENTS = frozenset({"wt", "json", "qt"})
#: How an entry of a list tells its name, by ``json.nl``; in a flat list names and values take turns.
_ENTRY_NAME: dict[str, Callable[[Any], Any]] = {
    "arrarr": lambda entry: entry[0],
    "arrmap": lambda entry: next(iter(entry)),
    "arrntv": lambda entry: entry["name"],
}


def docs(reply: NativeReply) -> Sequence[Hit]:
    """The hits as they stand in the reply.

    Raises:
        BadReply: if this is not a search reply.
    """
    try:
        found: Sequence[Hit] = reply["response"]["docs"]
        sound = isinstance(found, list) and all(isinstance(hit, Mapping) for hit in found)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise BadReply("no list response.docs of documents", "solr", reply)
    return found


def candidates(reply: NativeReply, plan: PagePlan) -> Iterator[Candidate]:
    """The hits as candidates.

    The reply to a user's own request, for which the plan has no fields, may lack scores and ids.
    """
    key = known_defaults(None, reply).unique_key
    for position, hit in enumerate(docs(reply)):
        doc_id, score = hit.get(ID, hit.get(key)), _number(hit.get(SCORE, hit.get("score")))
        if plan.fields and (doc_id is None or score is None):
            raise BadReply(f"a document without {key} or score", "solr", reply)
        source = {name: value for name, value in hit.items() if not name.startswith(OWN)}
        source |= {name: hit[passage_key(n)] for n, name in enumerate(plan.fields) if passage_key(n) in hit}
        yield Candidate(_text(doc_id), score or 0.0, plan.fetch_offset + position + 1, position, source)


def rendered(request: Request, reply: NativeReply, page: Sequence[RankedHit], best: float | None) -> NativeReply:
    """A copy of the reply with exactly these hits and scores; all else as it was."""
    asked, defaults = effective(request), known_defaults(request, reply)
    hits = docs(reply)
    chosen = [hits[ranked.candidate.position] for ranked in page]
    score_keys = parse_fl(asked.params.get("fl", ())).score_keys
    keeps_best = bool(score_keys) or defaults.tells_max_score
    told = _parts(reply, hits, chosen, asked.first("json.nl", "flat"))
    # Groups come from one shard each and have a highest score only if scores are asked for.
    for name, keeps in {"moreLikeThis": keeps_best, "expanded": bool(score_keys)}.items():
        if name in told:
            told[name] = _clean(told[name], keeps_best=keeps)
    response = {key: value for key, value in told["response"].items() if keeps_best or key != "maxScore"}
    if best is not None and "maxScore" in response:
        response["maxScore"] = best
    response |= {"start": int(asked.first("start", "0"))}
    response["docs"] = [
        _clean(hit) | dict.fromkeys(score_keys & hit.keys(), ranked.score)
        for ranked, hit in zip(page, chosen, strict=True)
    ]
    return {**told, "response": response, **_header(reply, asked, request)}


def _parts(reply: NativeReply, hits: Sequence[Hit], chosen: Sequence[Hit], shape: str) -> dict[str, Any]:
    """All parts of the reply; those that speak of single hits are cut to the chosen ones, in their order."""
    parts = dict(reply)
    cut = _Cut(hits, chosen, ID, shape)
    for name in _BY_KEY & parts.keys():
        parts[name] = cut(parts[name])
    if isinstance(parts.get("debug"), Mapping) and "explain" in parts["debug"]:
        parts["debug"] = {**parts["debug"], "explain": cut(parts["debug"]["explain"])}
    if "expanded" in parts:
        parts["expanded"] = _Cut(hits, chosen, GROUP, shape)(parts["expanded"])
    return parts


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a whole number that no float holds
        return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


class _Cut:
    """Cuts parts of a reply whose entries are named after hits, in whichever of its shapes Solr wrote them.

    Args:
        hits: the hits of the reply.
        chosen: those to keep, in order.
        key: where hits have the name.
        shape: the request's ``json.nl``.
    """

    def __init__(self, hits: Sequence[Hit], chosen: Sequence[Hit], key: str, shape: str) -> None:
        self._places = {_text(hit.get(key)): place for place, hit in enumerate(chosen)}
        self._gone = {_text(hit.get(key)) for hit in hits} - self._places.keys()
        self._name = _ENTRY_NAME.get(shape)

    def __call__(self, part: Any) -> Any:
        if isinstance(part, Mapping):
            return dict(self._kept(part.items(), lambda entry: entry[0]))
        if not isinstance(part, list):
            return part
        if self._name is not None:
            return self._kept(part, self._name)
        pairs = self._kept(zip(part[::2], part[1::2], strict=False), lambda entry: entry[0])
        return [item for pair in pairs for item in pair]

    def _kept(self, entries: Iterable[Any], name: Callable[[Any], Any]) -> list[Any]:
        kept = [entry for entry in entries if name(entry) not in self._gone]
        return sorted(kept, key=lambda entry: self._places.get(name(entry), -1))  # warnings and the like come first


def _clean(part: Any, *, keeps_best: bool = True) -> Any:
    """A part without what only the widened request asked for."""
    if isinstance(part, list):
        return [_clean(inner, keeps_best=keeps_best) for inner in part]
    if not isinstance(part, Mapping):
        return part
    hidden = set() if keeps_best or "docs" not in part else {"maxScore"}
    return {
        key: _clean(value, keeps_best=keeps_best)
        for key, value in part.items()
        if key not in hidden and not key.startswith(OWN)
    }


def _header(reply: NativeReply, asked: Effective, request: Request) -> dict[str, Any]:
    """The header with the echo of the parameters that the user's own request would have got."""
    header = reply.get("responseHeader")
    echo = header.get("params") if isinstance(header, Mapping) else None
    if not isinstance(header, Mapping) or not isinstance(echo, Mapping):
        return {}
    # A handler's own echoParams is not known, but its parameters show it.
    strange = echo.keys() - request.params.keys() - _CLIENTS.union(_SET)
    everything = asked.first("echoParams") == "all" or bool(strange)
    own = asked.params if everything else {name: texts(value) for name, value in request.params.items()}
    values = {name: own.get(name, ()) for name in _SET}
    if everything and any(value.strip() for value in asked.shown or ()):
        # What the handler itself appends to fl stands behind ours.
        values["fl"] = tuple(value for value in texts(echo.get("fl", ())) if f"{ID}:" not in value)
    restored = {name: value for name, value in echo.items() if name not in _SET}
    restored |= {name: found[0] if len(found) == 1 else list(found) for name, found in values.items() if found}
    return {"responseHeader": {**header, "params": restored}}
