"""A first stage without an engine: a run that was saved earlier, and the documents that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError
from rebridge.evaluation.model import Finding, Result, Times
from rebridge.evaluation.runs import read_run
from rebridge.ingest import Reject, read
from rebridge.testing import MemoryConnector, MemoryEngine

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.connector import Connector, Engine

_EXAMPLES = 3


class SavedRun:
    """A `rebridge.evaluation.first_stages.FirstStage` over a run file; called with a pipeline it gives itself.

    Args:
        run: a run in TREC format.
        documents: what the hits are, in any form that ``rebridge index`` reads; only those in the run are kept.
        id_field: the field that holds the documents' ids; None for ``_id`` or ``id``.

    Attributes:
        findings: what does not fit together.

    Raises:
        ConfigError: if a file cannot be read, or if the run names none of the documents.
    """

    def __init__(self, run: Path, documents: Path, id_field: str | None = None) -> None:
        self._hits = read_run(run)
        named = {doc_id for hits in self._hits.values() for doc_id, _ in hits}
        found, rejects = _read(documents, id_field, named)
        if not found:
            raise ConfigError(
                f"{documents} holds none of the documents that {run} names, such as {min(named, default='(none)')!r}. "
                f"Do they have the same ids?"
            )
        unknown = sorted(named - found.keys())
        self.findings = tuple(
            Finding(what, len(odd), tuple(odd[:_EXAMPLES]))
            for what, odd in (
                (f"documents of the run that {documents.name} does not hold, kept without text", unknown),
                (f"pieces of {documents.name} that are no documents, left out", rejects),
            )
            if odd
        )
        self.connector: Connector[Any, Any] = MemoryConnector()
        self.engine: Engine[Any, Any] = _RunEngine(found, self._hits)
        self.product = f"saved run {run.name}"
        self.identity = repr((_digest(run), _digest_of(found)))

    def __call__(self, config: PipelineConfig) -> SavedRun:
        """The same hits for every pipeline."""
        del config
        return self

    def request(self, query_id: str, text: str, size: int) -> dict[str, Any]:
        """A request for the run's hits of a query."""
        return {"query": text, "query_id": query_id, "from": 0, "size": size}

    def missing(self, queries: Mapping[str, str]) -> Finding | None:
        """The queries that the run has no hits for."""
        absent = [query_id for query_id in queries if query_id not in self._hits]
        what = "queries that the run has no hits for, counted as found nothing"
        return Finding(what, len(absent), tuple(absent[:_EXAMPLES])) if absent else None


def without_engine(result: Result) -> Result:
    """A result without the times of an engine, since a saved run has none: only the model's are left."""
    return replace(result, times=Times(scorer_ms=tuple(ms for ms in result.times.scorer_ms if ms)))


class _RunEngine(MemoryEngine):
    """Answers with the hits of a run."""

    def __init__(self, documents: Mapping[str, Any], hits: Mapping[str, list[tuple[str, float]]]) -> None:
        super().__init__(documents)
        self._hits = hits

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        """The slice of the run's hits for ``query_id``; a document that nobody has is without fields."""
        hits = self._hits.get(request["query_id"], [])
        start = request["from"]
        page = [
            {"id": doc_id, "score": score, "source": self.documents.get(doc_id, {})}
            for doc_id, score in hits[start : start + request["size"]]
        ]
        return {"total": len(hits), "hits": page}


def _read(documents: Path, id_field: str | None, wanted: set[str]) -> tuple[dict[str, Any], list[str]]:
    found, rejects = {}, []
    for item in read(documents, id_field=id_field):
        if isinstance(item, Reject):
            rejects.append(f"line {item.line}: {item.problem}")
        elif item.doc_id in wanted:
            found[item.doc_id] = item.fields
    return found, rejects


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of(documents: Mapping[str, Any]) -> str:
    """Of what documents hold: the time of a folder, or of a copied file, says nothing about that."""
    whole = hashlib.sha256()
    for doc_id in sorted(documents):
        whole.update(repr((doc_id, documents[doc_id])).encode("utf-8", "surrogatepass"))
    return whole.hexdigest()
