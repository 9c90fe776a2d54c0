"""Rows of named columns out of JSONL, comma-separated and tab-separated files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rebridge.evaluation.inputs.lines import bad_line, read_lines

#: A column's name -> names that files give it, the likeliest first. Case does not count; ``-`` and blanks are ``_``.
Columns = Mapping[str, Sequence[str]]


class Row(NamedTuple):
    """A row: its line, from 1 (the last one if it has several), and its values in the order of the columns."""

    line: int
    values: tuple[Any, ...]


def table_format(path: Path, first: str) -> str | None:
    """``jsonl``, ``csv`` or ``tsv``, told by a file's first line; its name decides between commas and tabs."""
    if first.lstrip().startswith("{"):
        return "jsonl"
    named_csv = ".csv" in path.suffixes[-2:]
    if "," in first and (named_csv or "\t" not in first):
        return "csv"
    return "tsv" if "\t" in first else None


def read_table(path: Path, form: str, columns: Columns) -> Iterator[Row]:
    """The rows of a file; blank lines are ignored.

    Comma-separated cells may be quoted; in tab-separated files a quotation mark is a character like any other. A header
    is optional: without one, the cells are the columns in their order. Surrounding blanks of cells do not count.

    Args:
        path: the file.
        form: as `table_format` tells.
        columns: what to read.

    Raises:
        ConfigError: naming the line that cannot be read.
    """
    return _json_rows(path, columns) if form == "jsonl" else _cell_rows(path, form, columns)


def has_header(cells: Sequence[str], columns: Columns) -> bool:
    """Whether cells name all the columns."""
    return len(_places(cells, columns)) == len(columns)


def as_id(value: object, path: Path, line: int, what: str) -> str:
    """An id as text.

    Raises:
        ConfigError: if it is empty, or neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise bad_line(path, line, f"the {what} is neither text nor a whole number: {value!r:.50}")
    text = str(value)
    if not text.strip():
        raise bad_line(path, line, f"the {what} is empty")
    return text


def _json_rows(path: Path, columns: Columns) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad_line(path, number, f"not valid JSON: {error}") from None
        if not isinstance(fields, dict):
            raise bad_line(path, number, "valid JSON, but not an object")
        names = list(fields)
        places = _places(names, columns)
        for column in columns:
            if column not in places:
                raise bad_line(path, number, _lacking(column, columns, names))
        yield Row(number, tuple(fields[names[places[column]]] for column in columns))


def _cell_rows(path: Path, form: str, columns: Columns) -> Iterator[Row]:
    lines = (line + "\n" for line in read_lines(path))
    if form == "csv":
        # Strict, or a quotation that never ends would swallow the rest of the file in silence.
        reader = csv.reader(lines, strict=True, skipinitialspace=True)
    else:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    places: list[int] | None = None
    width = 0
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if places is None:
                places, width = _layout(cells, columns, path, reader.line_num), len(cells)
                if has_header(cells, columns):
                    continue
            if len(cells) != width:
                raise bad_line(path, reader.line_num, f"{len(cells)} cells where the first line has {width}")
            yield Row(reader.line_num, tuple(cells[place] for place in places))
    except csv.Error as error:
        raise bad_line(path, reader.line_num, str(error)) from None


def _layout(cells: Sequence[str], columns: Columns, path: Path, line: int) -> list[int]:
    """Where the columns are, told by the first row."""
    places = _places(cells, columns)
    if not places and len(cells) == len(columns):
        return list(range(len(columns)))
    for column in columns:
        if column not in places:
            raise bad_line(path, line, _lacking(column, columns, cells))
    return [places[column] for column in columns]


def _places(names: Sequence[str], columns: Columns) -> dict[str, int]:
    """Column -> position, for those that are named."""
    plain = [name.strip().lower().replace("-", "_").replace(" ", "_") for name in names]
    found = {column: next((name for name in aliases if name in plain), None) for column, aliases in columns.items()}
    return {column: plain.index(name) for column, name in found.items() if name is not None}


def _lacking(column: str, columns: Columns, names: Sequence[str]) -> str:
    found = ", ".join(repr(name[:30]) for name in names)
    return f"no {column} among {found}. Name it {' or '.join(columns[column][:2])}"
