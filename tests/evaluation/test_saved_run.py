"""A saved run and its documents in the place of an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ir_measures", reason="evaluation needs the extra: pip install 'rebridge[eval]'")

from rebridge.errors import ConfigError
from rebridge.evaluation.database import Database
from rebridge.evaluation.journal import Journal
from rebridge.evaluation.measures import parse_measures
from rebridge.evaluation.running import Bench, evaluate_variants, prepare
from rebridge.evaluation.runs import read_run, write_run
from rebridge.evaluation.saved_run import SavedRun
from rebridge.evaluation.variants import variants
from rebridge.scorers.fingerprint import Fingerprint
from rebridge.testing import FakeScorer

from .memory_bench import DOCUMENTS, TOPICS, bench, config, favourites

MEASURES = parse_measures(["nDCG@10", "Recall@window"])


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The first stage's run over the documents, and the documents."""
    run, documents = tmp_path / "first.run", tmp_path / "corpus.jsonl"
    documents.write_text("".join(json.dumps({"_id": key, **fields}) + "\n" for key, fields in DOCUMENTS.items()))
    with Database(Path(":memory:")) as database:
        where = bench(database)
        runs = prepare(variants(config(), "shoes", {})[:1], where)
        evaluate_variants(runs, TOPICS, where, measures=MEASURES, timed=0)
        write_run(run, Journal(database).answers(runs[0].key, TOPICS.queries), "first")
        yield run, documents


def test_same_as_the_engine(files: tuple[Path, Path]) -> None:
    """Reranking a saved run gives what reranking the engine that it came from gives."""
    stage = SavedRun(*files)
    with Database(Path(":memory:")) as database:
        other = bench(database)
        chosen = variants(config(), "shoes", {"rank_window": [3]})
        expected = evaluate_variants(prepare(chosen, other), TOPICS, other, measures=MEASURES, timed=0)
        saved = Bench(
            "shoes", stage, lambda _: FakeScorer(favourites), database, 20, lambda _: Fingerprint("f", None, None, "f")
        )
        assert evaluate_variants(prepare(chosen, saved), TOPICS, saved, measures=MEASURES, timed=0) == expected
        timed = evaluate_variants(prepare(chosen, saved), TOPICS, saved, measures=MEASURES, timed=2)
        assert len(timed[1].times.total_ms) == 2
    assert stage.findings == ()
    assert stage.missing(TOPICS.queries) is None


def test_what_does_not_fit_is_told(files: tuple[Path, Path]) -> None:
    """Hits without documents, lines that are no documents and queries without hits are counted, with examples."""
    run, documents = files
    run.write_text(run.read_text() + "q1 Q0 ghost 99 -5 t\n")
    documents.write_text(documents.read_text() + "not json\n")
    stage = SavedRun(run, documents)
    assert {(finding.count, finding.examples[0].partition(":")[0]) for finding in stage.findings} == {
        (1, "ghost"),
        (1, "line 14"),
    }
    missing = stage.missing({"q1": "shoe", "q8": "boot", "q9": "zebra"})
    assert missing is not None
    assert (missing.count, missing.examples) == (2, ("q8", "q9"))
    hits = stage.engine.search(stage.request("q1", "shoe", 100))["hits"]
    assert hits[-1] == {"id": "ghost", "score": -5.0, "source": {}}
    assert [hit["id"] for hit in hits] == [doc_id for doc_id, _ in read_run(run)["q1"]]
    assert stage.engine.search(stage.request("q9", "zebra", 100))["hits"] == []


def test_only_documents_of_the_run_are_kept(files: tuple[Path, Path]) -> None:
    """A collection may be much larger than what the run names."""
    run, documents = files
    with documents.open("a") as file:
        file.writelines(json.dumps({"_id": f"other{number}", "text": "shoe"}) + "\n" for number in range(1000))
    assert SavedRun(run, documents).engine.count() == len(DOCUMENTS) - 1


def test_another_file_is_another_first_stage(files: tuple[Path, Path]) -> None:
    """Answers over one run are never taken for those over another."""
    run, documents = files
    before = SavedRun(run, documents).identity
    assert SavedRun(run, documents).identity == before
    run.write_text(run.read_text() + "q1 Q0 d1 99 -5 t\n".replace("d1", "d0"))
    assert SavedRun(run, documents).identity != before


def test_other_documents_are_another_first_stage(files: tuple[Path, Path], tmp_path: Path) -> None:
    """What the documents hold counts, not when or where they were written."""
    run, documents = files
    before, times = SavedRun(run, documents).identity, documents.stat()
    copy = tmp_path / "copy.jsonl"
    copy.write_text(documents.read_text())
    assert SavedRun(run, copy).identity == before
    documents.write_text(documents.read_text().replace("shoe", "boot", 1))
    os.utime(documents, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert SavedRun(run, documents).identity != before


def test_documents_of_another_collection(files: tuple[Path, Path], tmp_path: Path) -> None:
    """No document of the run in the file: an error that shows an id of each."""
    (tmp_path / "other.jsonl").write_text('{"_id": "x1", "text": "a"}\n')
    with pytest.raises(ConfigError, match=r"none of the documents .* such as 'd1'"):
        SavedRun(files[0], tmp_path / "other.jsonl")
