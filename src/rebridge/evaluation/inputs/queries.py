"""Queries: TREC topics, tables and JSONL."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from rebridge.errors import ConfigError
from rebridge.evaluation.inputs.lines import bad_line, first_line, read_lines
from rebridge.evaluation.inputs.tables import as_id, read_table, table_format

COLUMNS = {
    "query id": ("query_id", "_id", "id", "qid", "topic_id", "topic", "number"),
    "text": ("text", "query", "query_text", "title", "question"),
}
#: ``<top> <num> ... <title> ...`` of the classic tracks, ``<topic number="1"> <query> ...`` of later ones.
TOPIC = re.compile(r"<(top|topic)\b([^>]*)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
TOPIC_BEGIN = re.compile(r"<top(?:ic)?\b", re.IGNORECASE)
NUMBER_TAG = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
NUMBER_ATTRIBUTE = re.compile(r"""\bnumber\s*=\s*["']?([^\s"'>]+)""", re.IGNORECASE)
# A tag of a classic topic ends where the next one begins.
TITLE = re.compile(r"<(?:title|query)>\s*(?:Topic:)?([^<]*)", re.IGNORECASE)


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """Ids and texts, in the order of the file; a text may be empty.

    The file is JSONL, a table with commas or tabs, or TREC topics, of which the title is the text. Its first line says
    which.

    Raises:
        ConfigError: naming the line that cannot be read.
    """
    first = first_line(path)
    if first.lstrip().startswith("<"):
        yield from _topics(path)
        return
    form = table_format(path, first)
    if form is None:
        raise ConfigError(
            f"{path}: cannot tell what it is. Queries come as JSONL (_id, text), as a table with commas or tabs "
            f"(query_id, text), or as TREC topics (<top> <num> <title>); its first line is {first[:60]!r}."
        )
    for line, (query_id, text) in read_table(path, form, COLUMNS):
        if not isinstance(text, str):
            raise bad_line(path, line, f"the text of the query is not text: {text!r:.50}")
        yield as_id(query_id, path, line, "query id"), text.strip()


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    content = "\n".join(read_lines(path))
    found = list(TOPIC.finditer(content))
    begun = [match.start() for match in TOPIC_BEGIN.finditer(content)]
    open_ones = set(begun) - {match.start() for match in found}
    if open_ones or not found:
        problem = "a <top> that is not closed by </top>" if open_ones else "no <top> or <topic> in this file of tags"
        raise bad_line(path, _line(content, min(open_ones, default=0)), problem)
    for match in found:
        number = NUMBER_TAG.search(match[3]) or NUMBER_ATTRIBUTE.search(match[2])
        title = TITLE.search(match[3])
        if number is None or title is None:
            lacking = "<title> or <query>" if number else "<num>"
            raise bad_line(path, _line(content, match.start()), f"a topic without {lacking}")
        yield number[1], " ".join(html.unescape(title[1]).split())


def _line(content: str, offset: int) -> int:
    return content.count("\n", 0, offset) + 1
