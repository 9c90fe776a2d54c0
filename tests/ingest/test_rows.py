from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConfigError, RebridgeError
from rebridge.ingest import Record, Reject, read

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Make a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def documents(path: Path, **options: object) -> list[tuple[str, dict[str, object]]]:
    """All (id, fields) of a source without rejects."""
    items = list(read(path, **options))
    assert all(isinstance(item, Record) for item in items), items
    return [(item.doc_id, item.fields) for item in items]


def problems(path: Path, **options: object) -> list[tuple[int, str]]:
    """(line, problem) of each reject."""
    return [(item.line, item.problem) for item in read(path, **options) if isinstance(item, Reject)]


def test_ids_come_from_the_documents(tmp_path: Path) -> None:
    """`_id` goes before `id` and leaves the fields; `id` stays; a document with neither is named by its line."""
    path = write(tmp_path / "a.jsonl", '{"_id": 7, "id": "x"}\n{"id": "y", "a": [1]}\n\n{"b": null}\n')
    assert documents(path) == [("7", {"id": "x"}), ("y", {"id": "y", "a": [1]}), ("a.jsonl:4", {"b": None})]


def test_a_named_id_field_is_required_and_stays(tmp_path: Path) -> None:
    """With an id field, its value is the id and stays a field; a document without it is a reject."""
    path = write(tmp_path / "a.jsonl", '{"isbn": "3-1", "id": 1}\n{"id": 2}\n')
    first, second = read(path, id_field="isbn")
    assert isinstance(first, Record)
    assert (first.doc_id, first.fields) == ("3-1", {"isbn": "3-1", "id": 1})
    assert isinstance(second, Reject)
    assert second.problem == "no field 'isbn' to take the id from"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "not valid JSON: Expecting ',' delimiter at column 8"),
        (b"[1]", "valid JSON, but not an object"),
        (b'{"a": NaN}', "not valid JSON: NaN is not a JSON number"),
        (b"[" * 200_000, "not valid JSON"),
        (b'{"a": "\xff"}', "not valid UTF-8: byte 0xff at offset 7"),
        (rb'{"a": "\uD800"}', "half of a surrogate pair in a text"),
        (b'{"id": " "}', "the id in 'id' is empty"),
        (b'{"_id": null, "id": 1}', "the id in '_id' is empty"),
        (b'{"id": true}', "the id in 'id' is neither text nor a whole number: True"),
        (b'{"id": [1]}', "the id in 'id' is neither text nor a whole number: [1]"),
    ],
)
def test_a_bad_line_is_a_reject_between_good_ones(tmp_path: Path, line: bytes, problem: str) -> None:
    """A line that is no document costs itself only, and says where it is, what is wrong and how it begins."""
    path = write(tmp_path / "a.jsonl", b'{"id": 1}\n\n' + line + b'\n{"id": 2}')
    first, bad, last = read(path)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(bad, Reject)
    assert (bad.position, bad.line, bad.source) == (3, 3, str(path))
    assert bad.problem.startswith(problem)
    assert bad.raw == line.decode(errors="backslashreplace")[:1000]


def test_marks_and_whole_surrogate_pairs_are_fine(tmp_path: Path) -> None:
    """A byte order mark, CRLF, repeated keys and escaped emoji are all valid."""
    path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"id": 1, "id": 2, "t": "\\ud83d\\ude00"}\r\n   \r\n')
    assert documents(path) == [("2", {"id": 2, "t": "\N{GRINNING FACE}"})]


def test_an_overlong_line_is_never_held(tmp_path: Path) -> None:
    """A line over the limit is a reject, read in pieces; the next line is read as usual."""
    path = tmp_path / "a.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"t": "')
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}\n{"id": "next"}\n')
    tracemalloc.start()
    bad, good = read(path, max_bytes=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(bad, Reject)
    assert isinstance(good, Record)
    assert (bad.problem, len(bad.raw), good.doc_id) == ("longer than 100,000 bytes", 1000, "next")
    assert peak < 3_000_000


def test_the_limit_is_the_longest_line(tmp_path: Path) -> None:
    """A line of exactly the limit is read, with and without a line break; one byte more is not."""
    line = b'{"id":"abc"}'
    path = write(tmp_path / "a.jsonl", line + b"\n" + line + b" \n" + line)
    assert problems(path, max_bytes=len(line)) == [(2, "longer than 12 bytes")]


def test_tables_have_a_header(tmp_path: Path) -> None:
    """A row is a document; cells may hold line breaks and delimiters; an empty cell is a missing field."""
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbfid, title,text\r\n1,"a, b","x\ny"\r\n\r\n2,,"c ""d"""\r\n')
    assert documents(path) == [("1", {"id": "1", "title": "a, b", "text": "x\ny"}), ("2", {"id": "2", "text": 'c "d"'})]
    assert [item.line for item in read(path)] == [2, 5]


def test_tabs_separate_by_extension(tmp_path: Path) -> None:
    """`.tsv` is separated by tabs, also when it is gzipped; ids fall back to file name and line."""
    path = tmp_path / "a.TSV.gz"
    path.write_bytes(gzip.compress(b"title\ttext\na,b\tc\n"))
    assert documents(path) == [("a.TSV.gz:2", {"title": "a,b", "text": "c"})]


def test_bad_rows_are_rejects(tmp_path: Path) -> None:
    """Too few or too many cells, an empty id, bytes that are not text: each row is its own reject."""
    rows = [b"id,t", b"1,ok", b"2", b"3,a,b", b",a", b"4,\xff", b"5," + b"x" * 50, b'6,"a', b'b"', b"7,ok"]
    path = write(tmp_path / "a.csv", b"\n".join(rows))
    assert problems(path, max_bytes=40) == [
        (3, "1 cells where the header has 2"),
        (4, "3 cells where the header has 2"),
        (5, "the id in 'id' is empty"),
        (6, "not valid UTF-8: byte 0xff at offset 2"),
        (7, "longer than 40 bytes"),
    ]
    assert [item.doc_id for item in read(path, max_bytes=40) if isinstance(item, Record)] == ["1", "6", "7"]


def test_long_cells_are_read(tmp_path: Path) -> None:
    """A cell may be longer than the csv module's own limit of 128 KiB."""
    path = write(tmp_path / "a.csv", "id,t\n1," + "x" * 1_000_000)
    assert len(documents(path)[0][1]["t"]) == 1_000_000  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"id,id\n", b"id,,t\n", b"id,\xff\n"])
def test_a_bad_header_is_an_error(tmp_path: Path, header: bytes) -> None:
    """Without a usable header no row has a meaning."""
    with pytest.raises(ConfigError, match="header"):
        list(read(write(tmp_path / "a.csv", header + b"1,2\n")))


def test_the_id_column_must_be_there(tmp_path: Path) -> None:
    """An id field that is no column is an error that lists the columns."""
    with pytest.raises(ConfigError, match=r"no column 'key'.*Columns: id, t"):
        list(read(write(tmp_path / "a.csv", "id,t\n1,2\n"), id_field="key"))


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv"])
def test_an_empty_file_has_no_documents(tmp_path: Path, name: str) -> None:
    """An empty file is read to its end at once."""
    assert list(read(write(tmp_path / name, "\n\n"))) == []


def test_unreadable_sources_are_named(tmp_path: Path) -> None:
    """A missing source, an unknown kind and a broken archive each get an error with the cure or the reason."""
    with pytest.raises(ConfigError, match="no file or folder"):
        list(read(tmp_path / "missing.jsonl"))
    with pytest.raises(ConfigError, match=r"Use \.jsonl"):
        list(read(write(tmp_path / "a.json", "[]")))
    broken = write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
    with pytest.raises(RebridgeError, match="could not be read to its end"):
        list(read(broken))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=12)


@given(rows=ROWS, start=st.integers(0, 14), kind=st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.csv", "a.tsv.gz"]))
def test_a_read_resumes_at_any_position(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], start: int, kind: str
) -> None:
    """What is read from a position on is exactly what a whole read yields after it."""
    path = tmp_path_factory.mktemp("resume") / kind
    if "jsonl" in kind:
        content = "".join(json.dumps({"id": a, "t": b}) + "\n\n" for a, b in rows)
    else:
        table = io.StringIO(newline="")
        csv.writer(table, delimiter="\t" if "tsv" in kind else ",").writerows([("id", "t"), *rows])
        content = table.getvalue()
    path.write_bytes(gzip.compress(content.encode()) if kind.endswith("gz") else content.encode())
    whole = list(read(path))
    assert len(whole) == len(rows)
    assert list(read(path, start=start)) == [item for item in whole if item.position > start]


def test_a_quotation_without_end_is_told(tmp_path: Path) -> None:
    """Rows that an open quotation swallows are a reject that names their lines, never a long cell."""
    (tmp_path / "a.csv").write_text('id,text\n1,one\n2,"two\n3,three\n4,four\n')
    kept, lost = list(read(tmp_path / "a.csv"))
    assert isinstance(kept, Record)
    assert isinstance(lost, Reject)
    assert (kept.doc_id, lost.line) == ("1", 3)
    assert "lines 3 to 5" in lost.problem
