"""Collections that the library ir_datasets knows and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rebridge.errors import ConfigError, MissingExtra, nearest
from rebridge.evaluation.inputs.judgements import Judgement

PREFIX = "ir_datasets:"


class Dataset:
    """Queries and judgements of a collection of ir_datasets.

    Args:
        name: its id there, e.g. ``beir/scifact/test``.

    Raises:
        ConfigError: if there is none of this id, or it lacks queries or judgements.
        MissingExtra: if ir_datasets is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            import ir_datasets
        except ModuleNotFoundError as error:
            raise MissingExtra("A collection of ir_datasets", "eval") from error
        try:
            self._dataset: Any = ir_datasets.load(name)
        except KeyError:
            raise ConfigError(f"ir_datasets has no {name!r}. {nearest(name, ir_datasets.registry)}") from None
        for part, there in (("queries", self._dataset.has_queries()), ("judgements", self._dataset.has_qrels())):
            if not there:
                inside = [other for other in ir_datasets.registry if other.startswith(f"{name}/")]
                cure = f"Take one of its parts: {', '.join(inside)}." if inside else "Take another one."
                raise ConfigError(f"{PREFIX}{name} has no {part}. {cure}")
        self.name = name

    def queries(self) -> Iterator[tuple[str, str]]:
        """Ids and texts; of a query with several fields, the one that ir_datasets calls its text."""
        for query in self._read(self._dataset.queries_iter):
            yield query.query_id, query.default_text().strip()

    def judgements(self) -> Iterator[Judgement]:
        """Judgements in their order."""
        for qrel in self._read(self._dataset.qrels_iter):
            yield Judgement(qrel.query_id, qrel.doc_id, int(qrel.relevance))

    def _read(self, iterate: Any) -> Iterator[Any]:
        try:
            yield from iterate()
        # what a download that fails ends with, whatever it failed at
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"{PREFIX}{self.name} cannot be read: {error}. ir_datasets downloads it on first use; on a machine "
                "without a network put the files where its instructions say, or take a folder in BEIR layout."
            ) from error
