"""Fakes for tests, ours and our users': a scorer without a model and a search engine over a dictionary.

`MemoryConnector` is also the smallest complete example of the plugin contract in `rebridge.connector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from rebridge import notes
from rebridge.connector import TEXT, IndexFacts
from rebridge.errors import BadReply
from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary
from rebridge.scorers.fake import FakeScorer

__all__ = ["FakeScorer", "MemoryConnector", "MemoryEngine", "count_words"]

Document = Mapping[str, Any]


def count_words(query: str, document: Document) -> float:
    """How often the query's words stand in the document's text fields."""
    words = " ".join(str(value) for value in document.values()).lower().split()
    return float(sum(words.count(word) for word in query.lower().split()))


class MemoryEngine:
    """Documents in a dictionary. Hits are those that score above 0, the highest first, equal ones by insertion.

    Args:
        documents: id -> fields.
        score: (query, fields) -> first-stage score.
    """

    def __init__(
        self, documents: Mapping[str, Document] | None = None, score: Callable[[str, Document], float] = count_words
    ) -> None:
        self.documents = dict(documents or {})
        self.requests: list[dict[str, Any]] = []
        self._score = score

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer ``{"query", "filter", "from", "size", "source"}``.

        Returns:
            ``{"total", "hits": [{"id", "score", "source"}]}``
        """
        self.requests.append(request)
        query = request.get("query") or ""
        asked = request.get("filter", {}).items()
        found = ((key, fields) for key, fields in self.documents.items() if asked <= fields.items())
        scored = [(self._score(query, fields), key, fields) for key, fields in found]
        hits = sorted((hit for hit in scored if hit[0] > 0), key=lambda hit: -hit[0])
        start, wanted = request.get("from", 0), request.get("source")
        page = [
            {"id": key, "score": score, "source": {k: v for k, v in fields.items() if wanted is None or k in wanted}}
            for score, key, fields in hits[start : start + request.get("size", 10)]
        ]
        return {"total": len(hits), "hits": page}

    def validate(self, doc_id: str, fields: Document) -> str | None:
        """Any document will do."""
        del doc_id, fields
        return None

    def add(self, documents: Iterable[tuple[str, Document]]) -> int:
        """Add or replace documents by id."""
        given = dict(documents)
        self.documents.update(given)
        return len(given)

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Remove documents by id."""
        return sum(1 for key in doc_ids if self.documents.pop(key, None) is not None)

    def get(self, doc_id: str) -> Document | None:
        """The fields of one document."""
        return self.documents.get(doc_id)

    def scan(self, fields: Sequence[str]) -> Iterator[tuple[str, Document]]:
        """All documents, whole."""
        del fields
        yield from self.documents.items()

    def count(self) -> int:
        """How many documents there are."""
        return len(self.documents)

    def check(self) -> list[str]:
        """Memory has no problems."""
        return []

    def facts(self) -> IndexFacts:
        """Every field that a document has, all searched by words."""
        return IndexFacts("memory", {name: TEXT for fields in self.documents.values() for name in fields})

    def close(self) -> None:
        """Nothing to free."""


class MemorySettings(BaseModel):
    """The ``connector:`` section of a `MemoryConnector`."""

    model_config = ConfigDict(extra="forbid")

    index: str = "memory"


class MemoryConnector:
    """The translator for `MemoryEngine`."""

    name = "memory"
    settings: type[BaseModel] = MemorySettings

    def read(self, request: dict[str, Any]) -> SearchRequest:
        """A request with its own sort order is not reranked."""
        bypass = "own_sort" if "sort" in request else None
        return SearchRequest(request, request.get("query"), request.get("from", 0), request.get("size", 10), bypass)

    def widen(self, request: dict[str, Any], plan: PagePlan) -> dict[str, Any]:
        """Ask for the plan's slice, with the fields of the passages beside the user's own choice."""
        wide = {**request, "from": plan.fetch_offset, "size": plan.fetch_size}
        if "source" in request:
            wide["source"] = [*request["source"], *plan.fields]
        return wide

    def parse(self, reply: dict[str, Any], plan: PagePlan) -> Sequence[Candidate]:
        """The hits as candidates."""
        if not isinstance(reply, dict) or not isinstance(reply.get("hits"), list):
            raise BadReply("no list of hits", self.name, reply)
        return [
            Candidate(hit["id"], hit["score"], plan.fetch_offset + position + 1, position, hit["source"])
            for position, hit in enumerate(reply["hits"])
        ]

    def refusal(self, answer: dict[str, Any] | Exception) -> str | None:
        """Memory answers any size."""
        del answer
        return None

    def render(
        self, request: dict[str, Any], reply: dict[str, Any], page: Sequence[RankedHit], best: float | None
    ) -> dict[str, Any]:
        """The reply with these hits; fields that only `widen` asked for are gone."""
        del best
        wanted = request.get("source")
        hits = []
        for ranked in page:
            hit = reply["hits"][ranked.candidate.position]
            source = {k: v for k, v in hit["source"].items() if wanted is None or k in wanted}
            hits.append({**hit, "score": ranked.score, "source": source})
        return {**reply, "hits": hits}

    def annotate(self, reply: dict[str, Any], summary: Summary, page: Sequence[RankedHit]) -> dict[str, Any]:
        """The reply with a summary, and the evidence on each hit."""
        told = {**reply, notes.KEY: notes.of_summary(summary)} if isinstance(reply, dict) else reply
        if page:
            pairs = zip(reply["hits"], page, strict=True)
            told["hits"] = [{**hit, notes.KEY: notes.of_hit(ranked)} for hit, ranked in pairs]
        return told

    def request(
        self, text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A request; this engine knows no weights, and a filter is one value that a field must have."""
        del fields
        return {"query": text, "from": offset, "size": size, **({"filter": dict(filters)} if filters else {})}

    def open(self, settings: MemorySettings, *, create: bool = False) -> MemoryEngine:
        """An empty engine."""
        del settings, create
        return MemoryEngine()
