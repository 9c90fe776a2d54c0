"""An open index of Elasticsearch or OpenSearch: search, write, look up, and say what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from rebridge.closing import Closing
from rebridge.connector import TEXT, IndexFacts
from rebridge.errors import BadReply, ConnectorError, DocumentsRefused
from rebridge.inspection import NOT_INDEXED, names_in
from rebridge.remote import EngineError, Place, unwritable
from rebridge_query_dsl.failures import reason, translated
from rebridge_query_dsl.mapping import field_mapping, field_names
from rebridge_query_dsl.request import Request
from rebridge_query_dsl.settings import ClusterSettings

#: How documents are sent, for the helper `streaming_bulk` of either client: in requests that hosted engines take too
#: (10 MB), visible at once, and again after 1, 2, 4, 8 and 16 seconds if the engine is too busy.
BULK: Mapping[str, Any] = {
    "max_chunk_bytes": 10_000_000,
    "refresh": True,
    "max_retries": 5,
    "initial_backoff": 1,
    "raise_on_error": False,
}
#: Longest id in UTF-8 bytes: https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/mapping-id-field
MAX_ID_BYTES = 512
#: Names that a document's own fields cannot have.
_RESERVED = frozenset({"_id", "_index", "_source", "_routing", "_field_names", "_ignored", "_seq_no", "_tier", "_type"})
#: Documents that are looked at for names of fields that no mapping has.
_SAMPLE = 20
#: Documents that are read at a time when all are, and how long the engine waits until the next are asked for.
_SCANNED, _SCROLL = 100, "30m"
_BLOCKS = {
    "index.blocks.read_only_allow_delete": "The engine sets this when its disk is full: free space.",
    "index.blocks.read_only": "Set it to null to add documents.",
}
_MISSING, _FORBIDDEN = 404, 403


class Client(Protocol):
    """What an engine needs of the official client of its product."""

    def perform(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request through the client, as it is; returns the JSON of the reply as plain values."""

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Carry out bulk actions in batches, visibly; again those for which the engine is too busy."""

    def close(self) -> None:
        """Free the client's connections."""


class QueryDslEngine(Closing):
    """A `rebridge.connector.Engine`. Threads may share it.

    Args:
        client: the official client, adapted.
        place: what messages call it.
        settings: the pipeline's ``connector:`` section.
    """

    def __init__(self, client: Client, place: Place, settings: ClusterSettings) -> None:
        self._client, self._place, self._settings = client, place, settings
        self._path = f"/{quote(settings.index, safe=',*')}"

    def search(self, request: Request) -> dict[str, Any]:
        """Send a search as it is; one that names no index goes to this one.

        Raises:
            EngineError: if the engine refuses it or gives no answer, with its ``status_code``.
            BadReply: if the answer is no JSON object.
        """
        target = self._path if request.index is None else f"/{quote(request.index, safe=',*')}"
        action, body = ("_search", request.body) if request.template is None else ("_search/template", request.template)
        params = {name: _as_text(value) for name, value in request.params.items() if value is not None}
        query = f"?{urlencode(params)}" if params else ""
        return self._ask("GET" if body is None else "POST", f"{target}/{action}{query}", body)

    def validate(self, doc_id: str, fields: Mapping[str, Any]) -> str | None:
        """Why no index would take this document. What only this index refuses, `add` finds."""
        if problem := unwritable(doc_id, fields, MAX_ID_BYTES):
            return problem
        reserved = sorted(_RESERVED & fields.keys())
        return f"the engine keeps the name {reserved[0]!r} for itself: rename the field" if reserved else None

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Add or replace documents by id, durably and at once visible. Of equal ids the last one stays.

        Raises:
            DocumentsRefused: for those that are not valid or that the engine refuses; the others are added.
            EngineError: if the engine cannot be written to.
        """
        index, refused = self._settings.index, dict[str, str]()

        def actions() -> Iterator[dict[str, Any]]:
            for doc_id, fields in documents:
                if problem := self.validate(doc_id, fields):
                    refused[doc_id] = problem
                else:
                    yield {"_op_type": "index", "_index": index, "_id": doc_id, "_source": dict(fields)}

        done = list(self._bulk(actions()))
        refused |= {item["_id"]: reason(item) for ok, item in done if not ok}
        if refused:
            raise DocumentsRefused(refused)
        return len(done)

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Remove documents by id; returns how many were there."""
        actions = ({"_op_type": "delete", "_index": self._settings.index, "_id": doc_id} for doc_id in doc_ids)
        done = list(self._bulk(actions))
        failed = [item for ok, item in done if not ok and item["status"] != _MISSING]
        if failed:
            raise ConnectorError(f"Document {failed[0]['_id']!r} cannot be deleted: {reason(failed[0])}")
        return sum(ok for ok, _ in done)

    def get(self, doc_id: str) -> Mapping[str, Any] | None:
        """The ``_source`` of one document, or None. By a search, which an alias of several indices answers too."""
        hits = self._hits({"query": {"ids": {"values": [doc_id]}}, "size": 1})
        source: Mapping[str, Any] | None = hits[0].get("_source", {}) if hits else None
        return source

    def scan(self, fields: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every document that there was at the start once, as (id, ``_source``), reduced to these fields.

        By scrolling, which all versions of both products know alike, and which needs no more rights than searching:
        https://www.elastic.co/docs/reference/elasticsearch/rest-apis/paginate-search-results#scroll-search-results

        Raises:
            ConnectorError: if a part of the index cannot be read.
        """
        body = {"query": {"match_all": {}}, "sort": ["_doc"], "size": _SCANNED, "_source": list(fields)}
        reply = self._ask("POST", f"{self._path}/_search?scroll={_SCROLL}", body)
        try:
            while hits := self._all_shards(reply)["hits"]["hits"]:
                for hit in hits:
                    yield hit["_id"], hit.get("_source", {})
                again = {"scroll": _SCROLL, "scroll_id": reply["_scroll_id"]}
                reply = self._ask("POST", "/_search/scroll", again)
        finally:
            self._allowed("DELETE", "/_search/scroll", {"scroll_id": [reply["_scroll_id"]]})

    def count(self) -> int:
        """How many documents the index holds."""
        return int(self._ask("GET", f"{self._path}/_count")["count"])

    def facts(self) -> IndexFacts:
        """Product and version, the fields of the mapping and those that a sample of documents has, and the limit."""
        found = field_names(self._ask("GET", f"{self._path}/_field_caps?fields=*").get("fields", {}))
        for hit in self._hits({"size": _SAMPLE}):
            found = dict.fromkeys(names_in(hit.get("_source", {})), NOT_INDEXED) | found
        limits = [values["index.max_result_window"] for values in self._index_settings("index.max_result_window")]
        return IndexFacts(self._product(), found, min(map(int, limits), default=None))

    def check(self) -> list[str]:
        """Problems of the cluster's and the index's state, each a sentence with its cure."""
        index, problems = self._settings.index, []
        health = self._allowed("GET", f"/_cluster/health{self._path}?timeout=1s")
        if health.get("status") == "red":
            problems.append(
                f"Index {index!r} is red: {health.get('unassigned_shards')} shards are missing. See "
                f"{self._place.url}/_cluster/allocation/explain."
            )
        for values in self._index_settings("index.blocks*"):
            problems += [
                f"Index {index!r} is read-only ({block}). {cure}"
                for block, cure in _BLOCKS.items()
                if values.get(block) == "true"
            ]
        problems += self._analyzer_problem() + self._field_problems()
        if not problems and not self.count():
            problems.append(f"Index {index!r} is empty: add documents with `rebridge index`.")
        return problems

    def close(self) -> None:
        """End the client's connections. Calling it twice is allowed."""
        self._client.close()

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with translated(self._place):
            reply = self._client.perform(method, path, body)
        if not isinstance(reply, dict):
            raise BadReply("no JSON object", self._place.product, reply)
        return reply

    def _all_shards(self, reply: dict[str, Any]) -> dict[str, Any]:
        failed = reply.get("_shards", {}).get("failed", 0)
        if failed:
            index, product = self._settings.index, self._place.product
            raise ConnectorError(f"{failed} shards of {index!r} do not answer: see the state of {product}'s cluster.")
        return reply

    def _allowed(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `_ask`; empty where this user, or this kind of cluster, may not be asked."""
        try:
            return self._ask(method, path, body)
        except EngineError as error:
            if error.status_code is None or error.status_code >= 500:  # noqa: PLR2004 - the engine's own failures
                raise
            return {}

    def _bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        with translated(self._place):
            for ok, item in self._client.bulk(actions):
                yield ok, next(iter(item.values()))

    def _hits(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self._ask("POST", f"{self._path}/_search", body)["hits"]["hits"]
        return hits

    def _index_settings(self, names: str) -> list[dict[str, str]]:
        """These settings of every index behind the name; none where they may not be asked for."""
        reply = self._allowed("GET", f"{self._path}/_settings/{names}?include_defaults=true&flat_settings=true")
        return [index.get("defaults", {}) | index.get("settings", {}) for index in reply.values()]

    def _product(self) -> str:
        """Product and version, as far as they may be asked for."""
        version = self._allowed("GET", "/").get("version")
        if not isinstance(version, Mapping):
            nodes = self._allowed("GET", "/_nodes/_local?filter_path=nodes.*.version").get("nodes", {})
            version = {"number": next((node.get("version") for node in nodes.values()), None)}
        return f"{self._place.product} {version.get('number') or ''}".rstrip()

    def _analyzer_problem(self) -> list[str]:
        """Whether the analyzer of the settings is there."""
        name = self._settings.analyzer
        if name is None:
            return []
        try:
            self._ask("POST", f"{self._path}/_analyze", {"analyzer": name, "text": "a"})
        except EngineError as error:
            if error.status_code == _FORBIDDEN:
                return []
            return [f"Analyzer {name!r} cannot be used in index {self._settings.index!r}: correct `analyzer`. {error}"]
        return []

    def _field_problems(self) -> list[str]:
        """Where the settings' fields are other than the index's."""
        wanted = {name: kind for name, kind in (self._settings.fields or {}).items() if isinstance(kind, str)}
        if not wanted:
            return []
        made = field_names(self._ask("GET", f"{self._path}/_field_caps?fields=*").get("fields", {}))
        expected = {
            name: TEXT if kind == TEXT else str(field_mapping(kind, None)["type"]) for name, kind in wanted.items()
        }
        return [
            f"Field {name!r} is {made.get(name, 'missing')} in the index but {kind} in the settings: correct `fields`, "
            "or fill a new index."
            for name, kind in expected.items()
            if made.get(name) != kind
        ]


def _as_text(value: Any) -> str:
    """A parameter's value as it stands in a URL."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_as_text, value)) if isinstance(value, list | tuple) else str(value)
