"""An open index: search, write, look up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tantivy
from tantivy import Document, IndexWriter, Order, Query, Searcher

from rebridge.closing import Closing
from rebridge.connector import IndexFacts
from rebridge.errors import ConnectorError
from rebridge.inspection import NOT_INDEXED, names_in
from rebridge_tantivy.documents import decode_source, pick
from rebridge_tantivy.highlight import Highlighter
from rebridge_tantivy.query import build_query
from rebridge_tantivy.request import Request, parse_request
from rebridge_tantivy.schema import ANALYZER, ID, SOURCE, Layout
from rebridge_tantivy.settings import META, FieldType

#: Memory for documents that are not on disk yet, in bytes.
_WRITER_HEAP = 128_000_000
#: Documents that are looked at for names of fields that are not indexed.
_SAMPLE = 20
#: Documents that are read at a time when all are: tantivy begins from the first one for each such slice.
_SCANNED = 10_000


class Index(Closing):
    """An open index. Searching is safe from many threads; writing waits for its turn.

    Args:
        folder: where it lies.
        layout: how documents lie in it.

    Raises:
        ConnectorError: if the folder cannot be read as a tantivy index of this layout.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder, self._layout = folder, layout
        self._closed = False
        self._writing, self._reloading = threading.RLock(), threading.Lock()
        self._seen: tuple[int, int] | None = None
        with self._translated("opened"):
            self._index = tantivy.Index(layout.schema, path=str(folder))
            self._index.config_reader("manual")
        self._index.register_tokenizer(ANALYZER, layout.analyzer)

    def search(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request (see `Request`) with a reply in the shape of Elasticsearch's.

        Hits with equal scores keep one order, that of the index, until the index changes.

        Raises:
            ConnectorError: if the request does not fit the index.
        """
        started = time.perf_counter()
        asked = parse_request(request)
        searcher = self._searcher()
        query = build_query(asked, self._layout, self._index)
        highlighter = Highlighter(asked, self._layout, self._index, searcher)
        # tantivy reserves memory for as many hits as are asked for, and refuses to look for none.
        size = max(0, min(asked.size, searcher.num_docs - asked.offset))
        # Counting makes tantivy score every match, in one order: so a score never depends on the page.
        found: Any = searcher.search(query, asked.offset + size if size else 1, count=True, **self._order(asked))
        hits = [
            self._hit(key, searcher.doc(address), asked, highlighter)
            for key, address in (found.hits[asked.offset :] if size else ())
        ]
        return {
            "took": round((time.perf_counter() - started) * 1000),
            "hits": {
                "total": {"value": found.count, "relation": "eq"},
                "max_score": found.hits[0][0] if hits and asked.sort is None else None,
                "hits": hits,
            },
        }

    def validate(self, doc_id: str, fields: Mapping[str, Any]) -> str | None:
        """Why `add` would refuse a document; None if it would take it."""
        try:
            self._layout.document(doc_id, fields)
        except ConnectorError as error:
            return str(error)
        return None

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Add or replace documents, given as (id, fields): all of them durably, or none.

        Of documents with the same id the last one stays.

        Returns:
            How many were given.

        Raises:
            ConnectorError: if a document cannot be indexed (see `validate`), or if another process is writing.
        """
        count = 0
        with self._writer() as writer:
            for doc_id, fields in documents:
                document = self._layout.document(doc_id, fields)
                with self._translated("written"):
                    writer.delete_documents_by_term(ID, doc_id)
                    writer.add_document(document)
                count += 1
        return count

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Remove documents by id, durably; ids that are not there are ignored. Returns how many were there.

        Raises:
            ConnectorError: if another process is writing.
        """
        with self._writer() as writer:
            searcher = self._searcher()
            there = {doc_id for doc_id in doc_ids if self._find(searcher, doc_id) is not None}
            with self._translated("written"):
                for doc_id in there:
                    writer.delete_documents_by_term(ID, doc_id)
        return len(there)

    def get(self, doc_id: str) -> Mapping[str, Any] | None:
        """The fields of one document, or None."""
        document = self._find(self._searcher(), doc_id)
        return None if document is None else decode_source(document[SOURCE][0])

    def scan(self, fields: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every document of the newest commit once, in the order of the index, whole."""
        del fields
        searcher = self._searcher()
        for offset in range(0, searcher.num_docs, _SCANNED):
            found: Any = searcher.search(Query.all_query(), _SCANNED, count=False, offset=offset)
            for _, address in found.hits:
                document = searcher.doc(address)
                yield document[ID][0], decode_source(document[SOURCE][0])

    def count(self) -> int:
        """How many documents the index holds."""
        return self._searcher().num_docs

    def check(self) -> list[str]:
        """Problems of this index, each a sentence with its cure; empty if all is well."""
        searcher = self._searcher()
        if not searcher.num_docs:
            return [f"The index at {self._folder} is empty: add documents with `rebridge index`."]
        return [
            f"No document has a value in field {name!r}: correct its name in `fields`, then index the documents again."
            for name, kind in self._layout.fields.items()
            if not self._occurs(searcher, name, kind)
        ]

    def facts(self) -> IndexFacts:
        """The fields of the index, and those that a sample of its documents has."""
        searcher = self._searcher()
        sample: Any = searcher.search(Query.all_query(), _SAMPLE).hits if searcher.num_docs else ()
        sources = [decode_source(searcher.doc(address)[SOURCE][0]) for _, address in sample]
        found = dict.fromkeys((name for source in sources for name in names_in(source)), NOT_INDEXED)
        indexed = {name: str(kind) for name, kind in self._layout.fields.items() if name != ID}
        return IndexFacts(f"tantivy {version('tantivy')}", found | indexed)

    def close(self) -> None:
        """End the use of the index. Calling it twice is allowed."""
        self._closed = True

    def _searcher(self) -> Searcher:
        """The newest commit, also of another process."""
        if self._closed:
            raise ConnectorError(f"The index at {self._folder} is closed: open it again.")
        with self._translated("read"), self._reloading:
            state = (self._folder / META).stat()
            seen = state.st_ino, state.st_mtime_ns
            if seen != self._seen:
                self._index.reload()
                self._seen = seen
            return self._index.searcher()

    @contextmanager
    def _writer(self) -> Iterator[IndexWriter]:
        """A writer whose work becomes durable at the end, or is dropped if anything fails."""
        with self._writing:
            self._searcher()  # refuses a closed index
            with self._translated("written"):
                # One thread keeps documents in the order in which they came, so that ties do too.
                writer = self._index.writer(_WRITER_HEAP, 1)
            try:
                yield writer
                with self._translated("written"):
                    writer.commit()
            except BaseException:
                writer.rollback()
                raise
            finally:
                # Merges change the order of ties, so they end before anyone counts on it. This frees the lock too.
                writer.wait_merging_threads()

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError) as error:
            if "LockBusy" in str(error):
                raise ConnectorError(
                    f"Another process is writing to the index at {self._folder}: try again when it has ended."
                ) from error
            raise ConnectorError(f"The index at {self._folder} cannot be {action}: {error}.") from error

    def _find(self, searcher: Searcher, doc_id: str) -> Document | None:
        try:
            query = Query.term_query(self._layout.schema, ID, doc_id, index_option="basic")
        except ValueError:  # not even text in UTF-8, so no document can have it
            return None
        hits = searcher.search(query, 1).hits
        return searcher.doc(hits[0][1]) if hits else None

    def _order(self, asked: Request) -> dict[str, Any]:
        if asked.sort is None:
            return {}
        if isinstance(asked.sort, dict) and len(asked.sort) != 1:
            raise ConnectorError(f"sort: one field, not {len(asked.sort)}.")
        name, direction = (asked.sort, "asc") if isinstance(asked.sort, str) else next(iter(asked.sort.items()))
        if name not in self._layout.fields or self._layout.fields[name] == "text":
            known = ", ".join(field for field, kind in self._layout.fields.items() if kind != "text")
            raise ConnectorError(f"sort: field {name!r} cannot be sorted by. Fields that can: {known}.")
        return {"order_by_field": name, "order": Order.Asc if direction == "asc" else Order.Desc}

    def _hit(self, key: Any, document: Document, asked: Request, highlighter: Highlighter) -> dict[str, Any]:
        """One hit; ``key`` is its score, or the value that it was sorted by."""
        source = decode_source(document[SOURCE][0])
        hit = {"_index": self._folder.name, "_id": document[ID][0], "_score": key if asked.sort is None else None}
        if asked.source is not False:
            hit["_source"] = source if asked.source is True else pick(source, asked.source)
        if asked.sort is not None:
            hit["sort"] = [key]
        if marked := highlighter.highlight(source):
            hit["highlight"] = marked
        return hit

    def _occurs(self, searcher: Searcher, name: str, kind: FieldType) -> bool:
        if kind in {"text", "keyword"}:
            return bool(searcher.terms_with_prefix(name, "", limit=1))
        found: Any = searcher.search(Query.exists_query(name), 1)
        return bool(found.count)
