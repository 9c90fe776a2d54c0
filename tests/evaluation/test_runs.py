"""Run files: TREC's format in and out, whole or not at all, with a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConfigError
from rebridge.evaluation.model import Answer, Hit
from rebridge.evaluation.runs import Manifest, manifest_path, read_manifest, read_run, write_manifest, write_run

#: Ids as engines have them: anything but what ends a column or a line.
ids = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=6).filter(
    lambda text: text.strip() == text
)
scores = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def answers(draw: st.DrawFn) -> list[Answer]:
    found = []
    for query in draw(st.lists(ids, unique=True, min_size=1, max_size=3)):
        documents = draw(st.lists(ids, unique=True, min_size=1, max_size=5))
        falling = sorted((draw(scores) for _ in documents), reverse=True)
        hits = [Hit(doc_id, score, 1) for doc_id, score in zip(documents, falling, strict=True)]
        found.append(Answer(query, tuple(hits)))
    return found


@given(answers())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, given_answers: list[Answer]) -> None:
    """What is written is read again: every id, every score to the last bit, the order also of equal scores."""
    path = tmp_path_factory.mktemp("runs") / "x.run"
    write_run(path, given_answers, "a tag")
    assert read_run(path) == {
        answer.query_id: [(hit.doc_id, hit.score) for hit in answer.hits] for answer in given_answers
    }


def test_other_programs_read_it(tmp_path: Path) -> None:
    """ir_measures reads the file as it reads any run."""
    ir_measures = pytest.importorskip("ir_measures", reason="needs the extra: pip install 'rebridge[eval]'")
    path = tmp_path / "x.run"
    write_run(path, [Answer("q1", (Hit("d1", 2.5, 3), Hit("d2", 0.5, 1)))], "first stage")
    read = [(each.query_id, each.doc_id, each.score) for each in ir_measures.read_trec_run(str(path))]
    assert read == [("q1", "d1", 2.5), ("q1", "d2", 0.5)]
    assert path.read_text().splitlines()[0].split() == ["q1", "Q0", "d1", "1", "2.5", "first-stage"]


def test_foreign_runs(tmp_path: Path) -> None:
    """Lines may come in any order and with any blanks; scores decide, then ranks."""
    path = tmp_path / "x.run"
    path.write_text("\ufeffq1 Q0 c 3 1.0 t\r\n\r\nq2  Q0\td9 0 -4 t\nq1 Q0 a 1 7 t\nq1 Q0 b 2 1e0 t\n", "utf-8")
    assert read_run(path) == {"q1": [("a", 7.0), ("b", 1.0), ("c", 1.0)], "q2": [("d9", -4.0)]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 a 1 7 t\nq1 Q0 b\n", r"x\.run:2: not a line of a run"),
        ("q1 Q0 a 1 high t\n", r"x\.run:1: not a line"),
        ("q1 Q0 a 1 nan t\n", r"x\.run:1: not a line"),
        ("q1 Q0 a 1 7 t\nq1 Q0 a 2 6 t\n", r"x\.run:2: the query q1 has the document 'a' twice"),
        ("\n", "holds no hits"),
        (b"q1 Q0 \xff 1 7 t\n", "cannot be read"),
    ],
)
def test_bad_runs(tmp_path: Path, text: str | bytes, message: str) -> None:
    """What is no run is an error with file and line."""
    path = tmp_path / "x.run"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        read_run(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_run(tmp_path / "none.run")


@pytest.mark.parametrize("doc_id", ["a\tb", "a\nb", "a\u2028b", "a\ud800"])
def test_ids_that_no_run_can_hold(tmp_path: Path, doc_id: str) -> None:
    """An id with a tab, a line break or half a character is an error, and no file is left."""
    with pytest.raises(ConfigError, match="cannot hold ids with tabs"):
        write_run(tmp_path / "x.run", [Answer("q", (Hit(doc_id, 1.0, 1),))], "t")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_while_writing(tmp_path: Path) -> None:
    """An older run stays as it was until the new one is whole."""
    path = tmp_path / "x.run"
    write_run(path, [Answer("q", (Hit("old", 1.0, 1),))], "t")

    def half() -> Iterator[Answer]:
        yield Answer("q", (Hit("new", 1.0, 1),))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(path, half(), "t")
    assert read_run(path) == {"q": [("old", 1.0)]}
    assert list(tmp_path.iterdir()) == [path]


def test_manifests(tmp_path: Path) -> None:
    """A manifest stands beside its run and comes back as it was; none is None, a broken one is an error."""
    run = tmp_path / "x.run"
    manifest = Manifest(
        "fused", rerank=True, index="docs", config={"rank_window": 8}, model={"id": "m"}, first_stage={"product": "p"},
        topics={"data": "/x"}, queries=3, depth=100, measures={"nDCG@10": 0.5}, date="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert read_manifest(run) is None
    write_manifest(run, manifest)
    assert read_manifest(run) == manifest
    assert manifest_path(run).name == "x.run.manifest.json"
    manifest_path(run).write_text("{}")
    with pytest.raises(ConfigError, match=r"x\.run\.manifest\.json"):
        read_manifest(run)
