"""Scores on disk: what is stored is not asked for again, and what differs is."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.errors import ConfigError, ScorerError
from rebridge.evaluation import database as database_module
from rebridge.evaluation.database import Database
from rebridge.evaluation.score_store import StoredScorer
from rebridge.steps import Windows
from rebridge.testing import FakeScorer


def length(query: str, passage: str) -> float:
    return len(passage) + len(query) / 7


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "scores.sqlite") as database:
        yield database


def stored(scorer: FakeScorer, database: Database, fingerprint: str = "model") -> StoredScorer:
    return StoredScorer(lambda: scorer, database, fingerprint, "fake")


def asked(scorer: FakeScorer) -> list[str]:
    """All passages that the model was asked for."""
    return [passage for _, passages in scorer.calls for passage in passages]


def test_only_what_is_missing_is_scored(database: Database) -> None:
    """A second variant's passages cost only those that the first did not have; order and repeats stay right."""
    model = FakeScorer(length)
    scorer = stored(model, database)
    assert scorer.raw_scores("q", ["a", "bb", "a"]) == [length("q", "a"), length("q", "bb"), length("q", "a")]
    assert scorer.raw_scores("q", ["ccc", "bb"]) == [length("q", "ccc"), length("q", "bb")]
    assert asked(model) == ["a", "bb", "ccc"]


def test_scores_outlive_the_process(tmp_path: Path) -> None:
    """Scores of an earlier evaluation are there again, exactly."""
    texts = [f"text {number}" for number in range(1200)]
    with Database(tmp_path / "scores.sqlite") as database:
        before = stored(FakeScorer(length), database).raw_scores("q", texts)
    with Database(tmp_path / "scores.sqlite") as database:
        assert stored(FakeScorer(error=ScorerError("asked")), database).raw_scores("q", texts) == before


@pytest.mark.parametrize(
    ("fingerprint", "query", "windows"),
    [("other", "q", None), ("model", "other", None), ("model", "q", Windows(8, 8)), ("model", "q", Windows(8, 4))],
)
def test_what_a_score_depends_on(database: Database, fingerprint: str, query: str, windows: Windows | None) -> None:
    """Another model, query or cut into windows has scores of its own."""
    model = FakeScorer(length)
    stored(model, database).submit("q", ["a"], windows=Windows(16, 8)).result()
    stored(model, database).submit("q", ["a"]).result()
    stored(model, database, fingerprint).submit(query, ["a"], windows=windows).result()
    assert len(model.calls) == (2 if (fingerprint, query, windows) == ("model", "q", None) else 3)


def test_pooling_shares_scores(database: Database) -> None:
    """Windows that are only pooled in another way have the same scores."""
    model = FakeScorer(length)
    text = "word " * 40
    first = stored(model, database).submit("q", [text], windows=Windows(8, 8, 4, "max")).result()
    second = stored(model, database).submit("q", [text], windows=Windows(8, 8, 4, "top_k_mean", 2)).result()
    assert first == second
    assert len(first[0]) == 4
    assert len(model.calls) == 1


def test_odd_scores_are_not_kept(database: Database) -> None:
    """What the model could not score is asked for again the next time."""
    odd = FakeScorer({"a": math.nan, "b": 1.0})
    assert math.isnan(stored(odd, database).submit("q", ["a", "b"]).result()[0][0])
    sound = FakeScorer({"a": 2.0})
    assert stored(sound, database).raw_scores("q", ["a", "b"]) == [2.0, 1.0]
    assert asked(sound) == ["a"]


def test_failures_reach_who_waits(database: Database) -> None:
    """A model that fails, or gives too few scores, fails the future; a later call asks it again."""

    class TooFew(FakeScorer):
        def submit(self, query: str, passages: Any, **options: Any) -> Any:
            return super().submit(query, passages[1:], **options)

    for model in (FakeScorer(error=ScorerError("down")), FakeScorer(error=ValueError("odd")), TooFew()):
        with pytest.raises((ScorerError, ValueError)):
            stored(model, database).submit("q", ["a", "b"]).result()
    assert stored(FakeScorer(length), database).raw_scores("q", ["a"]) == [length("q", "a")]


def test_interrupted_while_scoring(database: Database) -> None:
    """Ctrl-C while the model works ends the wait, cancels the work, and leaves nothing half stored."""

    class Interrupted(FakeScorer):
        def submit(self, query: str, passages: Any, **options: Any) -> Any:
            self.future = super().submit(query, passages, **options)
            self.future.result = raise_interrupt  # type: ignore[method-assign]
            return self.future

    def raise_interrupt(_timeout: Any = None) -> Any:
        raise KeyboardInterrupt

    model = Interrupted(hangs=True)
    with pytest.raises(KeyboardInterrupt):
        stored(model, database).submit("q", ["a"])
    assert model.future.cancelled()
    assert stored(FakeScorer(length), database).raw_scores("q", ["a"]) == [length("q", "a")]


@given(st.lists(st.tuples(st.text(), st.lists(st.text(), max_size=8)), max_size=6))
def test_any_texts(calls: list[tuple[str, list[str]]]) -> None:
    """Whatever the texts, stored scores are the model's own."""
    with Database(Path(":memory:")) as database:
        model = FakeScorer(length)
        scorer = stored(model, database)
        for query, passages in calls * 2:
            assert scorer.submit(query, passages).result() == [(length(query, passage),) for passage in passages]
        pairs = [(query, passage) for query, passages in model.calls for passage in passages]
        assert len(pairs) == len(set(pairs))


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file of another kind or version stays as it is, and the error says what to do."""
    (tmp_path / "text").write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(ConfigError, match="Delete it"):
        Database(tmp_path / "text")
    with sqlite3.connect(tmp_path / "newer") as newer:
        newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(ConfigError, match="another version"):
        Database(tmp_path / "newer")


def test_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program holds is not said to be of another kind, and nobody is told to delete it."""
    monkeypatch.setattr(database_module, "_PATIENCE", 0.0)
    path = tmp_path / "scores.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE held (it)")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked: look whether another evaluation uses it"):
            Database(path)


def test_full_disk(database: Database) -> None:
    """A disk without room is an error that says so, and that the same command resumes."""
    next(database.rows("PRAGMA max_page_count=8"))
    with pytest.raises(OSError, match=r"full.*free space.*resumes"):
        stored(FakeScorer(length), database).submit("q", [f"text {number}" for number in range(5000)])


def test_two_processes_share_a_file(tmp_path: Path) -> None:
    """Two evaluations may write into one folder at the same time."""

    def write(beginning: str) -> None:
        with Database(tmp_path / "scores.sqlite") as database:
            for number in range(30):
                stored(FakeScorer(length), database).raw_scores("q", [f"{beginning} {number}"])

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Database(tmp_path / "scores.sqlite") as database:
        assert list(database.rows("SELECT count(*) FROM scores")) == [(60,)]
