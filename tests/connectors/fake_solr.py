"""A Solr of a few documents, as far as connectors can tell: pages, `fl` with aliases, defaults, echo of parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pysolr

from rebridge import PipelineConfig, wrap
from rebridge.testing import FakeScorer

CONFIG = PipelineConfig.model_validate(
    {"passage": {"template": "{title}"}, "rank_window": 20, "fusion": {"weight": 1.0}}
)
QUIET = CONFIG.model_copy(update={"annotate": "none"})
URL = "http://localhost:8983/solr/shop"
DOCUMENTS = [{"id": f"d{number}", "title": f"shoe {number}", "lang": "en"} for number in range(30)]


@dataclass
class FakeSolr:
    """Answers what pysolr sends. Hits are all documents, the first the best.

    Attributes:
        asked: the requests, as (method, path, body).
        defaults: parameters that the handler adds.
        invariants: parameters that count whatever a request says.
        answers: beginning of a path -> the text to answer instead, or the exception to raise.
    """

    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    defaults: Mapping[str, list[str]] = field(default_factory=dict)
    invariants: Mapping[str, list[str]] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)

    def send(self, method: str, path: str = "", body: Any = None, headers: Any = None, files: Any = None) -> str:
        """What `pysolr.Solr._send_request` does."""
        self.asked.append((method, path, body))
        for start, answer in self.answers.items():
            if path.startswith(start):
                if isinstance(answer, Exception):
                    raise answer
                return str(answer)
        if path.startswith("schema/uniquekey"):
            return '{"uniqueKey": "id"}'
        given = parse_qs(body or urlsplit(path).query, keep_blank_values=True)
        return json.dumps(self._reply({**self.defaults, **given, **self.invariants}))

    def searches(self) -> list[dict[str, list[str]]]:
        """The parameters of the searches so far, without those for the handler's defaults."""
        found = [parse_qs(body or urlsplit(path).query, keep_blank_values=True) for _, path, body in self.asked]
        return [params for params in found if "q" in params]

    def _reply(self, params: Mapping[str, list[str]]) -> dict[str, Any]:
        header = {"status": 0, "QTime": 1, **({"params": _echo(params)} if "echoParams" in params else {})}
        if "q" not in params:
            return {"responseHeader": header, "response": {"numFound": 0, "start": 0, "docs": []}}
        start, rows = int(params.get("start", ["0"])[0]), int(params.get("rows", ["10"])[0])
        wanted = [name for value in params.get("fl", ["*"]) for name in value.split(",")]
        scores = any(name.rpartition(":")[2] == "score" for name in wanted)
        hits = [
            _shown({**document, "score": 30.0 - place}, wanted)
            for place, document in enumerate(DOCUMENTS)
            if start <= place < start + rows
        ]
        best = {"maxScore": 30.0} if scores else {}
        found = {"numFound": len(DOCUMENTS), "start": start, **best, "docs": hits}
        cursor = {"nextCursorMark": str(start + rows)} if "cursorMark" in params else {}
        return {"responseHeader": header, "response": found, "facet_counts": {"facet_queries": {}}, **cursor}


def _echo(params: Mapping[str, list[str]]) -> dict[str, Any]:
    return {name: values[0] if len(values) == 1 else values for name, values in params.items()}


def _shown(document: Mapping[str, Any], wanted: list[str]) -> dict[str, Any]:
    shown = {}
    for name in wanted:
        alias, _, source = name.rpartition(":")
        if name == "*":
            shown |= {key: value for key, value in document.items() if key != "score"}
        elif source in document:
            shown[alias or source] = document[source]
    return shown


def last(query: str, passage: str) -> float:
    """The higher a document's number, the better."""
    del query
    return float(passage.rsplit(maxsplit=1)[-1])


def client(fake: FakeSolr | None = None, kind: type[pysolr.Solr] = pysolr.Solr, **options: Any) -> Any:
    made = kind(URL, **options)
    made._send_request = (fake or FakeSolr()).send
    return made


def wrapped(fake: FakeSolr | None = None, config: PipelineConfig = QUIET, **options: Any) -> Any:
    return wrap(client(fake, **options), config, scorer=FakeScorer(last))


def ids(results: Any) -> list[str]:
    return [hit["id"] for hit in results]
