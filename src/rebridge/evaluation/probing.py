"""Noticing that an index has changed since its answers were stored: a few queries are asked again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rebridge.errors import ConnectorError
from rebridge.evaluation.model import Finding
from rebridge.models import PagePlan

if TYPE_CHECKING:
    from rebridge.evaluation.database import Database
    from rebridge.evaluation.first_stages import FirstStage

#: Queries that tell whether an index is still the same.
PROBES = 20
_OF_STAGE = "FROM answers WHERE run IN (SELECT run FROM runs WHERE stage = ?)"


class Probes:
    """The queries that are asked again, kept with what they were answered: whatever else is asked, they stay the same.

    Args:
        database: where they, and the answers that depend on them, are kept.
        depth: how many hits of each are compared.
        tell: told of answers that were deleted, since their index has changed.
    """

    def __init__(self, database: Database, depth: int, tell: Callable[[Finding], None]) -> None:
        self._database, self._depth, self._tell = database, depth, tell

    def generation(self, first_stage: FirstStage, queries: Mapping[str, str]) -> str:
        """Stays equal as long as the index holds as many documents and answers the probes as before.

        A document that comes or goes changes the scores of others too, by the counts that they are made of.

        Args:
            first_stage: the index. If it has changed, its stored answers are deleted.
            queries: id -> text, of which probes are made as long as there are not enough.

        Raises:
            ConnectorError: if it cannot answer; names the query.
        """
        stage, count = self._stage(first_stage), first_stage.engine.count()
        statement = "SELECT generation, documents, queries FROM probes WHERE stage = ?"
        kept = next(self._database.rows(statement, (stage,)), None)
        generation, documents, packed = kept or ("", count, "[]")
        known = [(query_id, text, answer) for query_id, text, answer in json.loads(packed)]
        now = [(query_id, text, self._answer(first_stage, query_id, text)) for query_id, text, _ in known]
        if changed := (documents, known) != (count, now):
            self._void(stage)
        there = {query_id for query_id, _, _ in now}
        more = [key for key in queries if key not in there][: PROBES - len(now)]
        now += [(key, queries[key], self._answer(first_stage, key, queries[key])) for key in more]
        if kept is None or changed:
            generation = hashlib.blake2b(repr((count, now)).encode(), digest_size=16).hexdigest()
        if kept is None or changed or more:
            row = (stage, generation, count, json.dumps(now))
            self._database.write("INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?)", [row])
        return str(generation)

    def belongs(self, run: bytes, first_stage: FirstStage) -> None:
        """The answers under this key are deleted when the index has changed."""
        self._database.write("INSERT OR REPLACE INTO runs VALUES (?, ?)", [(run, self._stage(first_stage))])

    def _stage(self, first_stage: FirstStage) -> bytes:
        return hashlib.blake2b(repr((first_stage.identity, self._depth)).encode(), digest_size=16).digest()

    def _void(self, stage: bytes) -> None:
        ((count,),) = self._database.rows(f"SELECT count(*) {_OF_STAGE}", (stage,))
        self._database.write(f"DELETE {_OF_STAGE}", [(stage,)])
        self._database.write("DELETE FROM runs WHERE stage = ?", [(stage,)])
        if count:
            self._tell(Finding("stored answers of the index before it changed, deleted and asked again", count, ()))

    def _answer(self, first_stage: FirstStage, query_id: str, text: str) -> str:
        answer = hashlib.blake2b(digest_size=16)
        try:
            reply = first_stage.engine.search(first_stage.request(query_id, text, self._depth))
        except ConnectorError as error:
            raise ConnectorError(f"The query {query_id!r} cannot be answered: {error}") from error
        for hit in first_stage.connector.parse(reply, PagePlan(0, self._depth, 0, 0, self._depth)):
            answer.update(repr((hit.doc_id, hit.score, hit.source)).encode())
        return answer.hexdigest()
