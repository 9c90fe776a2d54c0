from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from .topic_files import QRELS, QUERIES, load, refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("queries.tsv", QUERIES),
        ("topics", QUERIES),
        ("queries.tsv", "Query-ID\tlang\tText\nq1\ten\tred boots\nq2\ten\tblue hat\n"),
        ("queries.csv", "q1,red boots\nq2,blue hat\n"),
        ("queries.csv", 'text,id,note\n"red boots",q1,\n"blue hat",q2,"a\n\nb"\n'),
        ("queries.txt", "query_id,query\n\nq1, red boots\nq2,blue hat"),
        (
            "queries.jsonl",
            '{"_id": "q1", "text": "red boots"}\n\n{"_id": "q2", "text": " blue hat ", "metadata": {}}\n',
        ),
        ("queries.json", '{"query_id": "q1", "query": "red boots"}\n{"query_id": "q2", "query": "blue hat"}\n'),
        (
            "topics.txt",
            (
                "<top>\n<num> Number: q1\n<title> Topic: red\nboots\n\n<desc> Description:\nall <b>\n</top>\n"
                "<top>\n<num>q2</num>\n<title>blue hat</title>\n</top>\n"
            ),
        ),
        (
            "topics.xml",
            (
                '<?xml version="1.0"?>\n<topics task="x">\n<topic number="q1" type="a"><query>red boots</query>'
                "<description>x</description></topic>\n<topic number='q2'>\n<query>blue hat</query></topic></topics>"
            ),
        ),
    ],
)
@pytest.mark.parametrize("disguise", ["plain", "bom", "crlf", "gz"])
def test_formats_of_queries(tmp_path: Path, name: str, content: str, disguise: str) -> None:
    """Queries in any format are the same queries, also with a byte order mark, with CRLF, and gzipped."""
    raw = content.encode()
    dressed = {
        "plain": raw,
        "bom": b"\xef\xbb\xbf" + raw,
        "crlf": raw.replace(b"\n", b"\r\n"),
        "gz": gzip.compress(raw),
    }[disguise]
    topics = load(tmp_path, dressed, names=(name + (".gz" if disguise == "gz" else ""), "qrels.txt"))
    assert topics.queries == {"q1": "red boots", "q2": "blue hat"}
    assert list(topics.queries) == ["q1", "q2"]
    assert topics.name == Path(name).stem
    assert topics.findings == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("qrels.txt", QRELS),
        ("qrels", "q1\t0\td1\t1\nq1\t0\td2\t0\n\nq2\tQ0\td3\t2\n"),
        ("test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td3\t2\n"),
        ("test.tsv", "q1\td1\t1\nq1\td2\t0\nq2\td3\t2\n"),
        ("qrels.tsv", "query_id\tdoc_id\tgrade\tannotator\nq1\td1\t1\ta\nq1\td2\t0\tb\nq2\td3\t2\tc\n"),
        ("qrels.csv", "q1,d1,1\nq1,d2,0\nq2,d3,2\n"),
        ("qrels.csv", "relevance,doc_id,query_id,by\n1.0,d1,q1,x\n0,d2,q1,x\n2,d3,q2,x\n"),
        (
            "qrels.jsonl",
            (
                '{"query_id": "q1", "doc_id": "d1", "grade": true}\n{"query_id": "q1", "doc_id": "d2", "grade": 0}\n'
                '{"query_id": "q2", "doc_id": "d3", "grade": 2.0}\n'
            ),
        ),
    ],
)
def test_formats_of_judgements(tmp_path: Path, name: str, content: str) -> None:
    """Judgements in any format are the same judgements, plain and gzipped without a name that says so."""
    expected = {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}
    assert load(tmp_path, qrels=content, names=("q", name)).qrels == expected
    assert load(tmp_path, qrels=gzip.compress(content.encode()), names=("q", name)).qrels == expected


def test_numbers_as_ids(tmp_path: Path) -> None:
    """Ids that JSON has as numbers are the texts that other files write."""
    topics = load(tmp_path, '{"id": 7, "text": "x"}', "7 0 12 1")
    assert topics.qrels == {"7": {"12": 1}}


def test_quotes_in_tab_separated_files(tmp_path: Path) -> None:
    """A quotation mark between tabs is a character, so that it does not swallow lines."""
    assert load(tmp_path, 'q1\t"red boots\nq2\tblue" hat\n').queries == {"q1": '"red boots', "q2": 'blue" hat'}


def test_entities_in_topics(tmp_path: Path) -> None:
    """Characters that topics must escape are read as themselves."""
    assert load(tmp_path, "<top><num>q1<title> R&amp;D &lt; sales</top>").queries == {"q1": "R&D < sales"}


def test_blanks_in_document_ids(tmp_path: Path) -> None:
    """Between tabs a document id may hold blanks."""
    assert load(tmp_path, qrels="q1\t0\ta b.md\t1\n").qrels == {"q1": {"a b.md": 1}}


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("red boots\nblue hat\n", "cannot tell what it is"),
        ("q1\tred boots\nq2 blue hat\n", "line 2: 1 cells where the first line has 2"),
        ("q1\tred boots\n\n\tblue hat\n", "line 3: the query id is empty"),
        ("q1\ta\tb\n", "line 1: no query id among 'q1', 'a', 'b'. Name it query_id or _id"),
        ("id,question,body\n1,2\n", "line 2: 2 cells"),
        ("id,words\nq1,x\n", "line 1: no text among 'id', 'words'. Name it text or query"),
        ('a,b\nq1,"red\nq2,blue\n', "line 3: unexpected end of data"),
        ('{"_id": "q1", "text": "x"}\n{"_id": "q2"\n', "line 2: not valid JSON"),
        ('{"_id": "q1", "text": "x"}\n["q2"]\n', "line 2: valid JSON, but not an object"),
        ('{"_id": "q1", "words": "x"}\n', "line 1: no text among '_id', 'words'"),
        ('{"_id": "q1", "text": ["x"]}\n', "line 1: the text of the query is not text: ['x']"),
        ('{"_id": true, "text": "x"}\n', "line 1: the query id is neither text nor a whole number: True"),
        ("<top>\n<num> 1\n<title> a\n</top>\n<top>\n<num> 2\n<title> b\n", "line 5: a <top> that is not closed"),
        ("<top><num> 1 <title> a </top>\n<top>\n<title> b\n</top>\n", "line 2: a topic without <num>"),
        ("<top><num> 1 <desc> a </top>\n", "line 1: a topic without <title> or <query>"),
        ("<html></html>", "line 1: no <top> or <topic>"),
        ("q1\tred boots\nq2\tcaf\u00e9\n".encode("latin-1"), "line 2: not valid UTF-8: byte 0xe9"),
        (gzip.compress(QUERIES.encode() * 99, mtime=0)[:-20], "could not be read to its end"),
    ],
)
def test_bad_queries(tmp_path: Path, queries: str | bytes, told: str) -> None:
    """A file of queries that cannot be read is named with its line and what is wrong."""
    message = refused(tmp_path, queries)
    assert str(tmp_path / "queries.txt") in message
    assert told in message


@pytest.mark.parametrize(
    ("qrels", "told"),
    [
        ("\n", "is empty"),
        ("q1 d1 1\n", "cannot tell what it is"),
        ("q1 0 d1 1\nq1 0 d2\n", "line 2: 3 columns where TREC qrels have"),
        ("q1 0 d1 1\n\nq1 0 d2 yes\n", "line 3: the grade is not a whole number: 'yes'"),
        ("q1,d1,0.5\n", "line 1: the grade is not a whole number: '0.5'"),
        ("q1,d1,nan\n", "line 1: the grade is not a whole number: 'nan'"),
        ("q1,d1,1700000000\n", "line 1: the grade is beyond 10,000"),
        ("q1,,1\n", "line 1: the document id is empty"),
        ("query_id,doc_id\nq1,d1\n", "line 1: no grade among 'query_id', 'doc_id'. Name it grade or relevance"),
        ('{"query_id": "q1", "doc_id": "d1", "grade": null}\n', "line 1: the grade is not a whole number: None"),
        (b"q1 0 d1 1\nq1 0 \xff 1\n", "line 2: not valid UTF-8: byte 0xff"),
    ],
)
def test_bad_judgements(tmp_path: Path, qrels: str | bytes, told: str) -> None:
    """A file of judgements that cannot be read is named with its line and what is wrong."""
    message = refused(tmp_path, QUERIES, qrels)
    assert str(tmp_path / "qrels.txt") in message
    assert told in message
