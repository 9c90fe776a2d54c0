"""An open core or collection: search, write, look up. The official client, pysolr, does the transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from rebridge.closing import Closing
from rebridge.connector import TEXT, IndexFacts
from rebridge.errors import ConnectorError, DocumentsRefused
from rebridge.remote import EngineError, unwritable
from rebridge_solr.dates import date_fields, with_dates
from rebridge_solr.failures import translated
from rebridge_solr.handlers import Handlers, place_of, told
from rebridge_solr.learning import UNIQUE_KEY, Ask
from rebridge_solr.plain_words import exactly
from rebridge_solr.request import Defaults, Reply, Request
from rebridge_solr.settings import SolrSettings
from rebridge_solr.wire import checked, on_the_wire

if TYPE_CHECKING:
    import pysolr

#: Documents sent at once, and ids asked for at once (a query of Solr holds at most 1,024 clauses).
_BATCH = 500
#: Documents that are read at a time when all are.
_SCANNED = 100
#: Longest id in UTF-8 bytes, which is that of any term of Lucene.
MAX_ID_BYTES = 32_766
_SOLRS_OWN = frozenset({"_version_", "_root_", "_nest_path_"})
_REFUSED, _CLOSED = frozenset({400, 409}), frozenset({401, 403, 404})


class SolrEngine(Closing):
    """A `rebridge.connector.Engine`. Threads may share it.

    Args:
        client: a client for the core or collection whose results are the decoded replies, all of them objects.
        settings: the pipeline's ``connector:`` section.
    """

    def __init__(self, client: pysolr.Solr, settings: SolrSettings) -> None:
        self._client, self._settings = client, settings
        self._handlers = Handlers()

    def search(self, request: Request) -> Reply:
        """Send a search; what its handler does by itself is asked before the first one, and now and then.

        Raises:
            EngineError: if Solr refuses it or gives no answer, with its ``status_code``.
            BadReply: if the answer is no JSON object.
            WindowRefused: if the request has a plan that the handler does not follow, or does not tell enough for.
        """
        defaults = request.defaults or self._defaults(request)
        request = replace(request, defaults=defaults)
        params, body = on_the_wire(request)
        if body is not None:
            params = {**params, "json": [json.dumps(body), *_listed(params.get("json"))]}
        return Reply(checked(request, self._ask(params, request.handler)), defaults)

    def validate(self, doc_id: str, fields: Mapping[str, Any]) -> str | None:
        """Why no core would take this document. What only this one refuses, `add` finds."""
        if problem := unwritable(doc_id, fields, MAX_ID_BYTES):
            return problem
        key, own = self._key, sorted(_SOLRS_OWN & fields.keys())
        if own:
            return f"Solr keeps the name {own[0]!r} for itself: rename the field"
        if fields.get(key, doc_id) != doc_id:
            return f"its field {key!r}, which is the core's unique key, is not its id: rename the field"
        nested = next((name for name, value in fields.items() if _has_object(value)), None)
        return f"field {nested!r} holds an object, and Solr's fields are flat: flatten it" if nested else None

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Add or replace documents by id, durably and at once visible. Of equal ids the last one stays.

        ISO 8601 dates are written in Solr's form into fields of a date type: ``2018-03-01`` as
        ``2018-03-01T00:00:00Z``.

        Raises:
            DocumentsRefused: for those that Solr refuses; the others are added.
            EngineError: if Solr cannot be written to.
        """
        added, refused = 0, dict[str, str]()
        for batch in _batches(documents):
            checked_ones = [(doc_id, fields, self.validate(doc_id, fields)) for doc_id, fields in batch]
            refused |= {doc_id: problem for doc_id, _, problem in checked_ones if problem}
            sound = [
                {**with_dates(fields, self._dates), self._key: doc_id}
                for doc_id, fields, problem in checked_ones
                if not problem
            ]
            problems = self._add(sound)
            refused |= problems
            added += len(sound) - len(problems)
        self._write(self._client.commit)
        if refused:
            raise DocumentsRefused(refused)
        return added

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Remove documents by id; returns how many were there."""
        there = 0
        for batch in _batches(dict.fromkeys(doc_ids)):
            found = self._total(fq=exactly(self._key, batch))
            if found:
                self._write(partial(self._client.delete, id=batch))
            there += found
        self._write(self._client.commit)
        return there

    def get(self, doc_id: str) -> Mapping[str, Any] | None:
        """The stored fields of one document, without its id and what Solr adds; None if it is not there.

        Fields of the settings may hold several values in Solr; one alone is given back as it is, not as a list.
        """
        found = self._ask({**_EVERYTHING, "fq": exactly(self._key, [doc_id]), "rows": 1})["response"]["docs"]
        left_out = {*_SOLRS_OWN, self._key}
        ours = self._settings.fields or {}
        stored = {name: value for name, value in found[0].items() if name not in left_out} if found else None
        return stored and {name: _single(value) if name in ours else value for name, value in stored.items()}

    def scan(self, fields: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every document once, by its unique key, with its stored fields as in a search that names none.

        https://solr.apache.org/guide/solr/latest/query-guide/pagination-of-results.html#fetching-a-large-number-of-sorted-results-cursors

        Raises:
            ConnectorError: if a part of the collection cannot be read.
        """
        del fields  # `fl=*` shows all
        mark, key = "*", self._key
        while True:
            reply = self._ask({**_EVERYTHING, "sort": f"{key} asc", "rows": _SCANNED, "cursorMark": mark})
            if reply.get("responseHeader", {}).get("partialResults"):
                raise ConnectorError(f"Some shards of {self._settings.index!r} do not answer: see Solr's log.")
            yield from ((str(found[key]), found) for found in reply["response"]["docs"])
            if reply["nextCursorMark"] == mark:
                return
            mark = reply["nextCursorMark"]

    def count(self) -> int:
        """How many documents the core or collection holds."""
        return self._total()

    def facts(self) -> IndexFacts:
        """Version of Solr, and the fields of the schema. The patterns of dynamic fields stand for any such name."""
        info = self._get(f"{self._settings.url}/admin/info/system?wt=json", allowed=True).get("lucene", {})
        fields, listed = self._schema()
        types = {kind["name"]: kind for kind in listed}
        found = {field["name"]: _kind(types.get(field["type"], {}), field["type"]) for field in fields}
        return IndexFacts(f"Solr {info.get('solr-spec-version', '')}".rstrip(), found)

    def check(self) -> list[str]:
        """Problems of the core or collection, each a sentence with its cure."""
        try:
            total = self.count()
            key = self._get(f"{self._settings.address}/{UNIQUE_KEY}", allowed=True)
        except ConnectorError as error:
            return [str(error)]
        if key and not key.get("uniqueKey"):
            return [f"The schema of {self._settings.index!r} has no uniqueKey: add one, and index the documents again."]
        return [] if total else [f"{self._settings.index!r} is empty: add documents with `rebridge index`."]

    def close(self) -> None:
        """End the client's connections. Calling it twice is allowed."""
        self._client.get_session().close()

    @cached_property
    def _key(self) -> str:
        """The schema's unique key; ``id`` if it may not be asked for."""
        found = self._get(f"{self._settings.address}/{UNIQUE_KEY}", allowed=True)
        return str(found.get("uniqueKey") or "id")

    @cached_property
    def _dates(self) -> Mapping[str, bool]:
        """The schema's fields and patterns -> whether they hold dates; none if it may not be asked for."""
        return date_fields(*self._schema(allowed=True))

    def _schema(self, *, allowed: bool = False) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Fields and dynamic fields of the schema, and its types; empty where it may not be asked for, if `allowed`."""
        keys = ("fields", "dynamicFields", "fieldTypes")
        named, dynamic, types = (
            self._get(f"{self._settings.address}/schema/{key.lower()}?wt=json", allowed=allowed).get(key, [])
            for key in keys
        )
        return [*named, *dynamic], types

    def _defaults(self, request: Request) -> Defaults:
        story = self._handlers.defaults(place_of(self._settings.address, request), request, lambda reply: reply)
        return told(story, partial(self._learn, request))

    def _learn(self, request: Request, step: Ask) -> Any:
        if step.kind == "search":
            return self._ask(step.what, request.handler)
        return self._get(f"{self._settings.address}/{step.what}")

    def _total(self, **params: Any) -> int:
        return int(self._ask({**_EVERYTHING, **params, "rows": 0})["response"]["numFound"])

    def _ask(self, params: Mapping[str, Any], handler: str = "select") -> dict[str, Any]:
        rest = {name: value for name, value in params.items() if name != "q"}
        with translated(self._settings):
            # pysolr writes no parameter for an empty list.
            reply: dict[str, Any] = self._client.search(params.get("q", []), search_handler=handler, **rest)
        return reply

    def _get(self, url: str, *, allowed: bool = False) -> dict[str, Any]:
        """What an address answers; an empty object, if that is ``allowed``, where this user may not ask for it."""
        client = self._client
        with translated(self._settings):
            reply = client.get_session().get(url, auth=client.auth, timeout=self._settings.timeout_s)
            if allowed and reply.status_code in _CLOSED:
                return {}
            reply.raise_for_status()
            found: dict[str, Any] = reply.json()
            return found

    def _add(self, documents: list[dict[str, Any]]) -> dict[str, str]:
        """Send documents; returns what is wrong with those that Solr refuses, found by sending halves."""
        if not documents:
            return {}
        try:
            self._write(partial(self._client.add, documents))
        except EngineError as error:
            if error.status_code not in _REFUSED:
                raise
            if len(documents) == 1:
                return {documents[0][self._key]: _with_cure(error.said, self._settings)}
            half = len(documents) // 2
            return self._add(documents[:half]) | self._add(documents[half:])
        return {}

    def _write(self, action: Callable[[], Any]) -> None:
        with translated(self._settings):
            action()


#: All documents, whatever the handler's defaults are.
_EVERYTHING: Mapping[str, Any] = {
    "q": "*:*",
    "defType": "lucene",
    "fl": "*",
    "start": 0,
    "group": "false",
    "facet": "false",
    "hl": "false",
}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _has_object(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_object(inner) for inner in value)
    return isinstance(value, Mapping)


def _kind(field_type: Mapping[str, Any], name: str) -> str:
    return TEXT if str(field_type.get("class", "")).endswith("TextField") else name


def _with_cure(said: str, settings: SolrSettings) -> str:
    if "unknown field" not in said:
        return said
    return f"{said}. Add the field to the schema of {settings.index!r}, or give it a name of a dynamic field (*_t, *_s)"
