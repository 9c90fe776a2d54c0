"""Queries and judgements, joined and checked, from whatever they are stored in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rebridge.errors import ConfigError
from rebridge.evaluation.inputs.datasets import PREFIX, Dataset
from rebridge.evaluation.inputs.joining import Documents, Notes, check_documents, distinct, graded, joined
from rebridge.evaluation.inputs.judgements import Judgement, read_judgements
from rebridge.evaluation.inputs.queries import read_queries
from rebridge.evaluation.model import Topics
from rebridge.ingest.items import Reject
from rebridge.ingest.readers import read


class _Source(NamedTuple):
    """Where queries and judgements come from, and what each is called in messages."""

    name: str
    queries: Iterable[tuple[str, str]]
    judgements: Iterable[Judgement]
    queries_name: str
    judgements_name: str


def load_topics(  # noqa: PLR0913 - keyword options of a public entry point
    source: str | Path | None = None,
    *,
    queries: Path | None = None,
    qrels: Path | None = None,
    split: str = "test",
    limit: int | None = None,
    known: Documents | None = None,
) -> Topics:
    """Read queries and their judgements.

    Nothing is dropped in silence: what is left out, changed or odd is a finding of the topics. Queries without
    judgements, judgements without queries and queries without text are left out. Of judgements of one document, the
    highest grade counts; grades below 0 become 0. Queries whose documents are all graded 0 stay: for them nearly all
    measures are 0, as in trec_eval.

    Args:
        source: a folder in BEIR layout (``queries.jsonl``, ``qrels/SPLIT.tsv``; also with ``.gz``), or
            ``ir_datasets:ID``; None if both files are given.
        queries: the file of queries, in place of the folder's; see `read_queries` for formats.
        qrels: the file of judgements, in place of the folder's; see `read_judgements`.
        split: which judgements of a folder.
        limit: take only so many of the queries, the first ones that can be evaluated.
        known: the ids of the documents that can be found, or a function from ids to those of them that can be; None to
            leave judged documents unchecked. Judgements of unknown documents stay.

    Raises:
        ConfigError: if something is missing or cannot be read, or no judgement belongs to a query or a known document.
        MissingExtra: if ir_datasets is needed, but not installed.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit of queries is {limit}. Give at least 1.")
    origin = _source(source, queries, qrels, split)
    notes = Notes()
    texts = distinct(origin.queries, notes)
    grades = graded(origin.judgements, notes)
    for what, name, there in (("queries", origin.queries_name, texts), ("judgements", origin.judgements_name, grades)):
        if not there:
            raise ConfigError(f"{name} holds no {what}.")
    if not texts.keys() & grades.keys():
        raise ConfigError(
            f"{origin.judgements_name} judges none of the queries of {origin.queries_name}: it judges e.g. "
            f"{next(iter(grades))!r}, the queries are e.g. {next(iter(texts))!r}. Give files that belong together."
        )
    chosen = joined(texts, grades, limit, notes)
    if not chosen:
        raise ConfigError(f"{origin.queries_name}: no judged query has a text.")
    kept = {query: grades[query] for query in chosen}
    if known is not None:
        check_documents(kept, known, origin.judgements_name, notes)
    return Topics(chosen, kept, notes.findings(), origin.name)


def documents(source: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ids and fields of the documents of a folder in BEIR layout (``corpus.jsonl``, also with ``.gz``).

    Memory does not grow with the collection.

    Raises:
        ConfigError: if there is no such file, or one of its lines is no document.
    """
    for record in read(_part(Path(source), "corpus.jsonl"), id_field="_id"):
        if isinstance(record, Reject):
            raise ConfigError(f"{record.source}, line {record.line}: {record.problem}.")
        yield record.doc_id, record.fields


def _source(source: str | Path | None, queries: Path | None, qrels: Path | None, split: str) -> _Source:
    if source is not None and str(source).startswith(PREFIX):
        if queries or qrels:
            raise ConfigError(f"{source} has its own queries and judgements: leave the files out.")
        dataset = Dataset(str(source).removeprefix(PREFIX))
        return _Source(dataset.name, dataset.queries(), dataset.judgements(), str(source), str(source))
    name = _plain_name(queries) if queries else ""
    if source is not None:
        folder = Path(source)
        queries = queries or _part(folder, "queries.jsonl")
        qrels = qrels or _qrels(folder, split)
        name = folder.resolve().name + ("" if split == "test" else f" ({split})")
    if queries is None or qrels is None:
        lacking = "queries" if queries is None else "judgements"
        raise ConfigError(
            f"No {lacking}: give a folder in BEIR layout, {PREFIX}ID, or files of queries and judgements."
        )
    return _Source(name, read_queries(queries), read_judgements(qrels), str(queries), str(qrels))


def _part(folder: Path, name: str) -> Path:
    """A file of a folder in BEIR layout, or an error that says what there is instead."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}.")
    inside = sorted(path.parent.name for path in folder.glob("*/queries.jsonl*"))
    cure = f"Take one of its collections: {', '.join(inside)}." if inside else "Is it another folder?"
    raise ConfigError(f"{folder} has no {name}, so it is not in BEIR layout. {cure}")


def _qrels(folder: Path, split: str) -> Path:
    inside = folder / "qrels"
    splits = {_plain_name(path): path for ending in ("tsv.gz", "tsv") for path in inside.glob(f"*.{ending}")}
    if split not in splits:
        there = ", ".join(sorted(splits)) or "none"
        raise ConfigError(f"{folder} has no judgements qrels/{split}.tsv. Splits that it has: {there}.")
    return splits[split]


def _plain_name(path: Path) -> str:
    """A file's name without its extensions."""
    return Path(path.stem).stem if path.suffix == ".gz" else path.stem
