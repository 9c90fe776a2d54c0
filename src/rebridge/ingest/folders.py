"""Reading documents from a folder of Markdown, HTML and plain text files, one document per file."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from rebridge.ingest.items import Problem, Record, Reject, bad_utf8, excerpt, too_long

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

FRONT_MATTER = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
TITLE = re.compile(r"""^title:[ \t]*(?P<quote>["']?)(?P<title>.+?)(?P=quote)[ \t]*$""", re.MULTILINE)
CODE_BLOCK = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(
    r"^ {0,3}#{1,6}[ \t]+(?P<atx>.*?)[ \t]*#*[ \t]*$|^(?P<setext>\S.*)\n {0,3}(?:=+|-{2,})[ \t]*$", re.MULTILINE
)


def read_folder(root: Path, *, start: int, max_bytes: int) -> Generator[Record | Reject, None, None]:
    """Read every text file below a folder; a position is a number of files, an id is the path within the folder."""
    for position, path in enumerate(text_files(root), 1):
        if position <= start:
            continue
        name = path.relative_to(root).as_posix()
        raw = b""
        try:
            name.encode()  # the name of a file may be bytes that are not text
            with path.open("rb") as stream:
                raw = stream.read(max_bytes + 1).removeprefix(codecs.BOM_UTF8)
            if len(raw) > max_bytes:
                raise too_long(max_bytes)
            title, text = PARSERS[path.suffix.lower()](raw.decode().replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            yield Reject(position, name, line, str(bad_utf8(error)), excerpt(raw.split(b"\n")[line - 1]))
        except UnicodeEncodeError:
            yield Reject(position, ascii(name), 1, "the file's name is not valid UTF-8", "")
        except (Problem, OSError) as problem:
            yield Reject(position, name, 1, str(problem), excerpt(raw))
        else:
            yield Record(position, name, 1, name, {"title": title or path.stem, "text": text}, len(raw))


def text_files(root: Path) -> list[Path]:
    """The files that are read, sorted by path; hidden files and folders and links to folders are left out.

    Raises:
        OSError: if a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    found = []
    for folder, subfolders, names in os.walk(root, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in PARSERS and path.is_file()]
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def _plain(text: str) -> tuple[str, str]:
    return "", text


def _markdown(text: str) -> tuple[str, str]:
    """The title of the front matter, else the first heading outside of code; and the text without front matter."""
    matter = FRONT_MATTER.match(text)
    body = text[matter.end() :] if matter else text
    named = TITLE.search(matter.group()) if matter else None
    if named:
        return named["title"], body
    heading = HEADING.search(CODE_BLOCK.sub("", body))
    return (heading["atx"] or heading["setext"] or "").strip() if heading else "", body


def _html(text: str) -> tuple[str, str]:
    """The page's title, else its first heading, and its words without markup."""
    page = LexborHTMLParser(text)
    page.strip_tags(["script", "style", "noscript", "template"])
    titles = (page.css_first(tag) for tag in ("head > title", "h1"))
    title = next((words for node in titles if node and (words := _words(node.text(separator=" ")))), "")
    return title, _words(page.body.text(separator=" ")) if page.body else ""


def _words(text: str) -> str:
    return " ".join(text.split())


#: How a file becomes (title, text), by its extension; an empty title means the file's name.
PARSERS: Mapping[str, Callable[[str], tuple[str, str]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _plain,
    ".html": _html,
    ".htm": _html,
}
