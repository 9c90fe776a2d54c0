from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConfigError, MissingExtra
from rebridge.evaluation.topics import documents, load_topics

from .topic_files import QRELS, QUERIES, load, put, refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from rebridge.evaluation.model import Topics

DATA = os.environ.get("REBRIDGE_DATA")


def found(topics: Topics) -> dict[str, tuple[int, tuple[str, ...]]]:
    """The findings as a dictionary."""
    return {finding.what: (finding.count, finding.examples) for finding in topics.findings}


def test_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    """Whatever is left out, changed or odd is counted, with examples."""
    queries = "a\tone\nb\ttwo\nb\ttwo\na\tother\nc\tthree\nd\t\ne\tone\nf\tsix\ng\tseven\nh\teight\ni\tnine\n"
    qrels = "a 0 x 1\na 0 x 1\na 0 y 1\na 0 y 2\na 0 z -2\nb 0 x 0\nd 0 x 1\ne 0 x 1\nz 0 x 1\nz 0 y 1\n"
    topics = load(tmp_path, queries, qrels)
    assert topics.queries == {"a": "one", "b": "two", "e": "one"}
    assert topics.qrels == {"a": {"x": 1, "y": 2, "z": 0}, "b": {"x": 0}, "e": {"x": 1}}
    assert found(topics) == {
        "queries given twice": (1, ("b",)),
        "queries whose id came before with another text, left out": (1, ("a: other",)),
        "judgements given twice": (1, ("a x",)),
        "documents judged twice with different grades, the highest taken": (1, ("a y: 1 and 2",)),
        "judgements with a grade below 0, taken as 0": (1, ("a z -2",)),
        "queries without a relevant document, kept: they count as 0": (1, ("b",)),
        "queries without judgements, left out": (5, ("c", "f", "g")),
        "queries without text, left out": (1, ("d",)),
        "queries with the same text as another one, kept": (1, ("a and e",)),
        "judgements of queries that are not there, left out": (2, ("z x", "z y")),
    }


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "red", "blue"])), max_size=12),
    st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("xyz"), st.integers(-1, 2)), max_size=20),
)
def test_every_line_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], judged: list[tuple[str, str, int]]
) -> None:
    """Queries taken and queries reported make all queries; so do judgements."""
    folder = tmp_path_factory.mktemp("any")
    try:
        topics = load(
            folder,
            "".join(f'{{"id": "{query}", "text": "{text}"}}\n' for query, text in lines),
            "".join(f"{query} 0 {document} {grade}\n" for query, document, grade in judged),
        )
    except ConfigError:
        usable = {query for query, text in dict(reversed(lines)).items() if text}
        assert not usable & {query for query, _, _ in judged}
        return
    gone = {what: count for what, (count, _) in found(topics).items()}

    def count(*kinds: str) -> int:
        return sum(number for what, number in gone.items() if what.startswith(kinds))

    left_out = ("queries given twice", "queries whose id", "queries without judgements", "queries without text")
    assert len(topics.queries) + count(*left_out) == len(lines)
    textless = {query for query, text in dict(reversed(lines)).items() if not text}
    of_textless = {(query, document) for query, document, _ in judged if query in textless}
    left_out = ("judgements given twice", "documents judged twice", "judgements of queries")
    assert sum(map(len, topics.qrels.values())) + count(*left_out) + len(of_textless) == len(judged)
    assert topics.queries.keys() == topics.qrels.keys()


def test_limit(tmp_path: Path) -> None:
    """A limit takes the first queries that can be evaluated, with their judgements alone."""
    topics = load(tmp_path, "q0\tno judgements\n" + QUERIES, limit=1)
    assert topics.queries == {"q1": "red boots"}
    assert topics.qrels == {"q1": {"d1": 1, "d2": 0}}
    assert "at least 1" in refused(tmp_path, limit=0)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    """If no judgement belongs to a query, the error shows an id of each."""
    message = refused(tmp_path, QUERIES, "301 0 d1 1\n")
    assert "judges none of the queries" in message
    assert "'301'" in message
    assert "'q1'" in message


def test_only_empty_queries(tmp_path: Path) -> None:
    """If the judged queries have no words, there is nothing to evaluate."""
    assert "no judged query has a text" in refused(tmp_path, "q1\t\nq3\tx\n")


@pytest.mark.parametrize("as_function", [True, False])
def test_unknown_documents(tmp_path: Path, as_function: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Judged documents that are not in the index are counted, and so are queries that cannot be answered."""
    ids = ["d0", "d1"]

    def known(asked: Collection[str]) -> set[str]:
        return {doc_id for doc_id in asked if doc_id in ids}

    topics = load(tmp_path, known=known if as_function else iter(ids))
    assert topics.qrels == {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}
    assert found(topics) == {
        "judgements of documents that are not there, kept: no run can find them": (2, ("q1 d2", "q2 d3")),
        "queries of which no relevant document is there, kept: they count as 0": (1, ("q2",)),
    }


def test_no_known_document(tmp_path: Path) -> None:
    """If no judged document is in the index, the error shows an id of each."""
    message = refused(tmp_path, known=["corpus/1", "corpus/2"])
    assert "judges no document that is there" in message
    assert "'d1'" in message
    assert "'corpus/1'" in message
    assert "'d1'" in refused(tmp_path, known=lambda ids: [])


def beir(folder: Path) -> Path:
    """A collection in BEIR layout."""
    corpus = [{"_id": "d1", "title": "Boots", "text": "red", "metadata": {"year": 2020}}, {"_id": "d2", "text": ""}]
    put(folder, "corpus.jsonl", "\n".join(map(json.dumps, corpus)))
    put(folder, "queries.jsonl", '{"_id": "q1", "text": "red boots"}\n{"_id": "q2", "text": "blue hat"}\n')
    put(folder, "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    put(folder, "qrels/dev.tsv.gz", gzip.compress(b"query-id\tcorpus-id\tscore\nq2\td2\t1\n"))
    return folder


def test_folder(tmp_path: Path) -> None:
    """A folder in BEIR layout has queries, judgements by split, and documents."""
    folder = beir(tmp_path / "shop")
    topics = load_topics(folder)
    assert (topics.name, topics.queries, topics.qrels) == ("shop", {"q1": "red boots"}, {"q1": {"d1": 1}})
    dev = load_topics(str(folder), split="dev")
    assert (dev.name, dev.qrels) == ("shop (dev)", {"q2": {"d2": 1}})
    assert list(documents(folder)) == [
        ("d1", {"title": "Boots", "text": "red", "metadata": {"year": 2020}}),
        ("d2", {"text": ""}),
    ]


def test_packed_folder(tmp_path: Path) -> None:
    """The files of a folder may be gzipped."""
    folder = beir(tmp_path)
    for path in (folder / "corpus.jsonl", folder / "queries.jsonl"):
        put(folder, f"{path.name}.gz", gzip.compress(path.read_bytes()))
        path.unlink()
    assert load_topics(folder).queries == {"q1": "red boots"}
    assert [doc_id for doc_id, _ in documents(folder)] == ["d1", "d2"]


def test_folder_with_other_judgements(tmp_path: Path) -> None:
    """A file given beside a folder takes the place of the folder's own."""
    topics = load_topics(beir(tmp_path), qrels=put(tmp_path, "mine.txt", "q2 0 d1 3\n"))
    assert topics.qrels == {"q2": {"d1": 3}}


def test_wrong_folders(tmp_path: Path) -> None:
    """An error about a folder says what there is instead."""
    beir(tmp_path / "data" / "shop")
    for source, told in (
        (tmp_path / "nothing", "There is no folder"),
        (tmp_path / "data", "Take one of its collections: shop."),
        (tmp_path / "data" / "shop" / "qrels", "not in BEIR layout"),
    ):
        with pytest.raises(ConfigError) as raised:
            load_topics(source)
        assert told in str(raised.value)
    with pytest.raises(ConfigError, match=r"no judgements qrels/train.tsv. Splits that it has: dev, test."):
        load_topics(tmp_path / "data" / "shop", split="train")


def test_missing_files(tmp_path: Path) -> None:
    """What is missing is named: a file, or queries, or judgements."""
    there = put(tmp_path, "q.tsv", QUERIES)
    for options, told in (
        ({"queries": there}, "No judgements"),
        ({"qrels": there}, "No queries"),
        ({"queries": there, "qrels": tmp_path / "x"}, "There is no file"),
        ({"queries": there, "qrels": tmp_path}, "is a folder where a file is needed"),
    ):
        with pytest.raises(ConfigError, match=told):
            load_topics(**options)


def test_bad_documents(tmp_path: Path) -> None:
    """A line of the corpus that is no document is named."""
    folder = beir(tmp_path)
    put(folder, "corpus.jsonl", '{"_id": "d1", "text": "red"}\n{"text": "no id"}\n')
    with pytest.raises(ConfigError, match=r"corpus\.jsonl, line 2: no field '_id'"):
        list(documents(folder))


def test_ir_datasets(tmp_path: Path) -> None:
    """A collection of ir_datasets is taken by its id."""
    import ir_datasets

    dataset = ir_datasets.create_dataset(
        queries_tsv=str(put(tmp_path, "queries.tsv", QUERIES)), qrels_trec=str(put(tmp_path, "qrels", QRELS))
    )
    ir_datasets.registry.register("rebridge-test", dataset)
    topics = load_topics("ir_datasets:rebridge-test")
    assert (topics.name, list(topics.queries)) == ("rebridge-test", ["q1", "q2"])
    assert topics.qrels == {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}
    with pytest.raises(ConfigError, match="leave the files out"):
        load_topics("ir_datasets:rebridge-test", queries=tmp_path / "queries.tsv")


def test_wrong_ir_datasets(tmp_path: Path) -> None:
    """An unknown id, one without judgements, and one that cannot be downloaded are told apart."""
    import ir_datasets

    lost = ir_datasets.create_dataset(queries_tsv=str(tmp_path / "lost"), qrels_trec=str(tmp_path / "lost"))
    ir_datasets.registry.register("rebridge-lost", lost)
    for name, told in (
        ("beir/scifakt", "Did you mean 'beir/scifact'"),
        ("beir/scifact", "has no judgements. Take one of its parts: beir/scifact/test, beir/scifact/train."),
        ("rebridge-lost", "cannot be read: .*lost"),
    ):
        with pytest.raises(ConfigError, match=told):
            load_topics(f"ir_datasets:{name}")


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ir_datasets the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingExtra, match=r"rebridge\[eval\]"):
        load_topics("ir_datasets:beir/scifact/test")


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="set REBRIDGE_DATA to a folder of collections in BEIR layout")
@pytest.mark.parametrize(("name", "size"), [("scifact", 300), ("cranfield", 225), ("cacm", 52), ("squad_dev", 10570)])
def test_real_collections(name: str, size: int) -> None:
    """Real collections are read whole, and all their judged documents are there."""
    folder = Path(str(DATA), name)
    topics = load_topics(folder, known=(doc_id for doc_id, _ in documents(folder)))
    assert len(topics.queries) == len(topics.qrels) == size
    assert not any("documents that are not there" in finding.what for finding in topics.findings)
