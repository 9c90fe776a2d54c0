"""Answers on disk: what an interrupted evaluation has done already, and what its runs are written from."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rebridge.evaluation.model import Answer, Hit

if TYPE_CHECKING:
    from rebridge.evaluation.database import Database


class Journal:
    """The answers of variants, by query.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def done(self, run: bytes) -> set[bytes]:
        """The queries, as by `query_key`, that need not be asked again. Degraded answers deserve another try."""
        found = self._database.rows("SELECT query FROM answers WHERE run = ? AND degraded = 0", (run,))
        return {query for (query,) in found}

    def put(self, text: str, answers: Iterable[tuple[bytes, Answer]]) -> None:
        """Keep what several variants answered to a query of this text: all of it or nothing."""
        rows = [
            (run, query_key(answer.query_id, text), answer.status == "degraded", _packed(answer))
            for run, answer in answers
        ]
        self._database.write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)

    def get(self, run: bytes, query_id: str, text: str) -> Answer | None:
        """A variant's answer to a query; None if it has not been asked."""
        statement = "SELECT answer FROM answers WHERE run = ? AND query = ?"
        found = next(self._database.rows(statement, (run, query_key(query_id, text))), None)
        return None if found is None else _unpacked(query_id, found[0])

    def answers(self, run: bytes, queries: Mapping[str, str]) -> Iterator[Answer]:
        """A variant's answers in the order of the queries (id -> text), one after the other.

        Raises:
            LookupError: if it has not been asked one of them.
        """
        for query_id, text in queries.items():
            answer = self.get(run, query_id, text)
            if answer is None:
                raise LookupError(f"the query {query_id} was not asked")
            yield answer


def query_key(query_id: str, text: str) -> bytes:
    """16 bytes for a query: another text under the same id is another query."""
    return hashlib.blake2b(repr((query_id, text)).encode(), digest_size=16).digest()


def _packed(answer: Answer) -> bytes:
    hits = [(hit.doc_id, hit.score, hit.first_stage_rank, hit.rerank_score) for hit in answer.hits]
    # Level 1: most of the gain for little of the time.
    return zlib.compress(json.dumps([hits, answer.window, answer.status, answer.reason]).encode(), 1)


def _unpacked(query_id: str, packed: bytes) -> Answer:
    hits, window, status, reason = json.loads(zlib.decompress(packed))
    return Answer(query_id, tuple(Hit(*hit) for hit in hits), tuple(window), status, reason)
