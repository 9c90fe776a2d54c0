"""Judgements: TREC qrels, tables and JSONL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rebridge.errors import ConfigError
from rebridge.evaluation.inputs.lines import bad_line, first_line, read_lines
from rebridge.evaluation.inputs.tables import as_id, has_header, read_table, table_format

COLUMNS = {
    "query id": ("query_id", "qid", "topic_id", "topic", "query"),
    "document id": ("doc_id", "corpus_id", "document_id", "docid", "docno", "doc", "document", "product_id", "pid"),
    "grade": ("grade", "relevance", "score", "rel", "label", "judgement", "judgment", "rating", "gain"),
}
#: ``query iteration document grade``; the iteration is not used.
TREC_COLUMNS = 4
#: A grade beyond this is another column; trec_eval reserves memory for every grade up to the highest.
MOST = 10_000


class Judgement(NamedTuple):
    """How relevant a document is to a query."""

    query_id: str
    doc_id: str
    grade: int


def read_judgements(path: Path) -> Iterator[Judgement]:
    """Judgements in the order of the file, which is JSONL, a table with commas or tabs, or TREC qrels.

    Raises:
        ConfigError: naming the line that cannot be read.
    """
    first = first_line(path)
    form = table_format(path, first)
    cells = first.split("\t") if form == "tsv" else first.split()
    if form in {None, "tsv"} and len(cells) == TREC_COLUMNS and not has_header(cells, COLUMNS):
        yield from _trec(path)
        return
    if form is None:
        raise ConfigError(
            f"{path}: cannot tell what it is. Judgements come as TREC qrels (query 0 document grade), or as JSONL or a "
            f"table with commas or tabs (query_id, doc_id, grade); its first line is {first[:60]!r}."
        )
    for line, values in read_table(path, form, COLUMNS):
        yield _judgement(path, line, *values)


def _trec(path: Path) -> Iterator[Judgement]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        cells = line.split("\t") if line.count("\t") == TREC_COLUMNS - 1 else line.split()
        if len(cells) != TREC_COLUMNS:
            raise bad_line(path, number, f"{len(cells)} columns where TREC qrels have query, 0, document and grade")
        query, _, document, grade = (cell.strip() for cell in cells)
        yield _judgement(path, number, query, document, grade)


def _judgement(path: Path, line: int, query: object, document: object, grade: object) -> Judgement:
    """A judgement whose values are checked; a grade may be true or false, or written as ``1.0``."""
    try:
        number = float(grade) if isinstance(grade, str | int | float) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or not number.is_integer():
        raise bad_line(path, line, f"the grade is not a whole number: {grade!r:.50}")
    if abs(number) > MOST:
        raise bad_line(path, line, f"the grade is beyond {MOST:,}: {grade!r:.50}. Is it another column")
    return Judgement(as_id(query, path, line, "query id"), as_id(document, path, line, "document id"), int(number))
