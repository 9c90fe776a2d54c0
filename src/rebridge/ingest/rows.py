"""Reading documents from files of lines: JSONL and CSV, plain or gzipped, in bounded memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
from itertools import count
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

from rebridge.errors import ConfigError
from rebridge.ingest.items import Problem, Record, Reject, bad_utf8, excerpt, identify, too_long

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


class Line(NamedTuple):
    """A line of a file: its number from 1, its bytes (only the first ones if it is too long), and its length."""

    number: int
    raw: bytes
    size: int
    too_long: bool


def read_jsonl(
    path: Path, *, id_field: str | None, start: int, max_bytes: int
) -> Generator[Record | Reject, None, None]:
    """Read one JSON object per line; a position is a line number."""
    with _open(path) as stream:
        for line in _lines(stream, max_bytes):
            if line.number <= start or not (line.too_long or line.raw.strip()):
                continue
            try:
                if line.too_long:
                    raise too_long(max_bytes)
                doc_id, fields = identify(_parse(line.raw), id_field, f"{path.name}:{line.number}")
            except Problem as problem:
                yield Reject(line.number, str(path), line.number, str(problem), excerpt(line.raw))
            else:
                yield Record(line.number, str(path), line.number, doc_id, fields, line.size)


def read_csv(
    path: Path, *, id_field: str | None, start: int, max_bytes: int, delimiter: str = ","
) -> Generator[Record | Reject, None, None]:
    """Read a table with a header; a position is a number of rows below the header.

    All values are text; an empty cell is a field that the document does not have.

    Raises:
        ConfigError: if the header has an empty or repeated name, or lacks ``id_field``.
    """
    # The limit of the csv module is one for the process and far below a long document: it is only ever raised.
    csv.field_size_limit(max(max_bytes, csv.field_size_limit()))
    with _open(path) as stream:
        feed = _Feed(stream, max_bytes)
        # Strict, or a quotation that never ends would swallow the rest of the file in silence.
        rows = csv.reader(feed, delimiter=delimiter, strict=True)
        header = _header(path, next((row for row in rows if row), []), feed.problem, id_field)
        for position in count(1):
            feed.begin_row()
            try:
                row = next(rows, None)
                if row is None:
                    return
                if position <= start or not (row or feed.problem):
                    continue
                fields = feed.check(row, header)
                doc_id, fields = identify(fields, id_field, f"{path.name}:{feed.first}")
            except (Problem, csv.Error) as problem:
                if position > start:
                    lines = f" (lines {feed.first} to {feed.last})" if feed.last > feed.first else ""
                    yield Reject(position, str(path), feed.first, f"{problem}{lines}", excerpt(feed.raw))
            else:
                present = {name: value for name, value in fields.items() if value}
                yield Record(position, str(path), feed.first, doc_id, present, feed.size)


def _open(path: Path) -> IO[bytes]:
    # gzip's files are BinaryIO in all but name
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _lines(stream: IO[bytes], max_bytes: int) -> Iterator[Line]:
    """The lines of a file, without a byte order mark, never holding more than one and no more than the limit."""
    for number in count(1):
        raw = stream.readline(max_bytes + 1)
        if not raw:
            return
        size = len(raw)
        over = size > max_bytes and not raw.endswith(b"\n")
        rest = raw if over else b"\n"
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(max_bytes + 1)
            size += len(rest)
        yield Line(number, raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, size, over)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.rstrip().decode(), parse_constant=_not_json)
        if b"\\ud" in raw.lower():  # half of an escaped surrogate pair is JSON, but no engine can store it
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise bad_utf8(error) from None
    except UnicodeEncodeError:
        raise Problem("half of a surrogate pair in a text") from None
    except json.JSONDecodeError as error:
        raise Problem(f"not valid JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise Problem(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem("valid JSON, but not an object")
    return value


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


class _Feed:
    """The lines of a table as text for `csv.reader`, remembering what the current row is made of.

    Attributes:
        first: the line at which the row begins, from 1.
        last: the line at which it ends.
        raw: that line.
        size: bytes of the row.
        problem: what is wrong with one of its lines; None if nothing is.
    """

    def __init__(self, stream: IO[bytes], max_bytes: int) -> None:
        self._lines = _lines(stream, max_bytes)
        self._max_bytes = max_bytes
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the previous row."""
        self.first, self.last, self.raw, self.size = 0, 0, b"", 0
        self.problem: Problem | None = None

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if not self.first:
                self.first, self.raw = line.number, line.raw
            self.last = line.number
            self.size += line.size
            text = "\n"  # in place of a line that is too long: it cannot open a quotation
            if line.too_long:
                self.problem = too_long(self._max_bytes)
            else:
                try:
                    text = line.raw.decode()
                except UnicodeDecodeError as error:
                    self.problem = bad_utf8(error)
                    text = line.raw.decode(errors="replace")
            yield text

    def check(self, row: list[str], header: list[str]) -> dict[str, str]:
        """The row as fields; raises the problem that it has."""
        if self.problem:
            raise self.problem
        if len(row) != len(header):
            raise Problem(f"{len(row)} cells where the header has {len(header)}")
        return dict(zip(header, row, strict=True))


def _header(path: Path, row: list[str], problem: Problem | None, id_field: str | None) -> list[str]:
    header = [name.strip() for name in row]
    if problem:
        raise ConfigError(f"{path}: the header cannot be read: {problem}.")
    if not all(header) or len(set(header)) < len(header):
        raise ConfigError(f"{path}: the header has an empty or repeated name: {header}. Give each column its own name.")
    if header and id_field and id_field not in header:
        raise ConfigError(f"{path}: no column {id_field!r} to take ids from. Columns: {', '.join(header)}.")
    return header
