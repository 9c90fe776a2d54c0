from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rebridge.errors import ConfigError
from rebridge.ingest import Record, Reject, read

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Make a file and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def only(root: Path) -> dict[str, object]:
    """The fields of a folder's only document."""
    (item,) = read(root)
    assert isinstance(item, Record)
    return item.fields


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    """Ids are paths within the folder, sorted; hidden files, hidden folders and other kinds are left out."""
    for name in ("b.md", "a/z.TXT", "a/b/c.html", ".hidden.md", ".git/x.md", "picture.png", "a.txt"):
        write(tmp_path / name, "words")
    items = list(read(tmp_path))
    assert [item.doc_id for item in items if isinstance(item, Record)] == ["a/b/c.html", "a/z.TXT", "a.txt", "b.md"]
    assert [item.position for item in items] == [1, 2, 3, 4]
    assert list(read(tmp_path, start=3)) == items[3:]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n## Second *level* ##\n# First\n", "Second *level*"),
        ("```sh\n# a comment\n```\n# Title\n", "Title"),
        ("~~~\n# never closed\n", "notes"),
        ("Title\n=====\ntext", "Title"),
        ("#hashtag\ntext", "notes"),
        ("", "notes"),
    ],
)
def test_markdown_is_titled_by_its_first_heading(tmp_path: Path, text: str, title: str) -> None:
    """The first heading outside of code is the title, else the file's name; the text is the content."""
    write(tmp_path / "notes.md", text)
    assert only(tmp_path) == {"title": title, "text": text}


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<head><title> The\n title </title></head>", "The title"),
        ("<head><title></title></head><h1>A <b>head</b></h1>", "A head"),
        ("<svg><title>icon</title></svg>", "page"),
    ],
)
def test_html_becomes_words(tmp_path: Path, head: str, title: str) -> None:
    """The title is the page's, else its first heading, else the file's name; code and styles are no words."""
    write(tmp_path / "page.html", f"{head}<script>var x</script><style>p {{}}</style><p>one</p><p>two &amp; three</p>")
    fields = only(tmp_path)
    assert fields["title"] == title
    assert str(fields["text"]).endswith("one two & three")
    assert "var" not in str(fields["text"])


def test_plain_text_keeps_its_lines(tmp_path: Path) -> None:
    """A text file is titled by its name; a byte order mark and CRLF leave no trace."""
    write(tmp_path / "my notes.txt", b"\xef\xbb\xbfone\r\ntwo")
    assert only(tmp_path) == {"title": "my notes", "text": "one\ntwo"}


def test_a_bad_file_is_a_reject(tmp_path: Path) -> None:
    """Bytes that are not text, at their line, and a file over the limit cost that file only."""
    write(tmp_path / "a.txt", b"one\ntw\xff\n")
    write(tmp_path / "b.txt", "x" * 101)
    write(tmp_path / "c.txt", "fine")
    bad, long, good = read(tmp_path, max_bytes=100)
    assert bad == Reject(1, "a.txt", 2, "not valid UTF-8: byte 0xff at offset 6", "tw\\xff")
    assert long == Reject(2, "b.txt", 1, "longer than 100 bytes", "x" * 101)
    assert isinstance(good, Record)


def test_a_name_that_is_not_text_is_a_reject(tmp_path: Path) -> None:
    """A file name in another encoding cannot be an id."""
    try:
        write(tmp_path / os.fsdecode(b"caf\xe9.txt"), "text")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (item,) = read(tmp_path)
    assert isinstance(item, Reject)
    assert item.problem == "the file's name is not valid UTF-8"


def test_a_folder_has_no_id_field(tmp_path: Path) -> None:
    """Naming an id field for a folder is an error."""
    with pytest.raises(ConfigError, match="the ids are the files' paths"):
        list(read(tmp_path, id_field="id"))


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("---\ntitle: From the matter\ntags: [x]\n---\n# Heading\nwords\n", "From the matter", "# Heading\nwords\n"),
        ('---\ntitle: "Quoted: yes"\n---\nwords', "Quoted: yes", "words"),
        ("---\ndate: 2024\n---\n# Heading\n", "Heading", "# Heading\n"),
        ("---\nno end of it\n# Heading\n", "Heading", "---\nno end of it\n# Heading\n"),
    ],
)
def test_front_matter_is_no_text(tmp_path: Path, text: str, title: str, body: str) -> None:
    """What stands before a Markdown page gives its title and is not searched."""
    (tmp_path / "a.md").write_text(text)
    (record,) = read(tmp_path)
    assert isinstance(record, Record)
    assert record.fields == {"title": title, "text": body}
