"""Filling an index: batches, rejects, and what is read again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ConfigError, DocumentsRefused

from .workplace import MemoryEngine, Workplace, facts, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def test_documents_arrive_in_batches(place: Workplace) -> None:
    """Every document is added once, in order, in batches of the given size, and progress is told after each."""
    place.write(*numbered(7))
    told: list[int] = []
    report = place.run(on_progress=lambda so_far: told.append(so_far.added))
    assert facts(report) == ("new", 7, 0, 0, True)
    assert place.engine.batches == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert told == [3, 6, 7]
    assert not place.rejects.exists()


def test_long_documents_make_small_batches(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends when it has enough bytes, whatever its size in documents may be."""
    monkeypatch.setattr("rebridge.ingest.run.BATCH_BYTES", 20)
    place.write(*numbered(5))
    place.run(batch_size=100)
    assert [len(batch) for batch in place.engine.batches] == [2, 2, 1]


def test_the_later_document_of_an_id_wins(place: Workplace) -> None:
    """Within a batch, too, an id is added once, with the fields that came last."""
    place.write({"id": 1, "v": "old"}, {"id": 1, "v": "new"})
    place.run()
    assert place.engine.documents == {"1": {"id": 1, "v": "new"}}


def test_rejects_are_kept_with_their_reason(place: Workplace) -> None:
    """What the reader or the engine's rules refuse is in the rejects file; earlier content of that file stays."""
    place.rejects.parent.mkdir()
    place.rejects.write_text('{"line": 0}\n', encoding="utf-8")
    place.write({"id": 1}, "oops", {"id": 2, "n": "x"})
    report = place.run(validate=lambda doc_id, fields: "n is no number" if "n" in fields else None)
    assert facts(report) == ("new", 1, 2, 0, True)
    assert place.rejected()[0] == {"line": 0}
    assert [(reject["line"], reject["raw"]) for reject in place.rejected()[1:]] == [
        (2, "oops"),
        (3, '{"id": 2, "n": "x"}'),
    ]
    assert place.rejected()[2]["problem"] == "n is no number"
    assert place.rejected()[2]["source"] == str(place.source)
    assert report.first_reject is not None
    assert (report.first_reject.line, report.first_reject.raw) == (2, "oops")
    again = place.run()
    assert (again.beginning, again.lost, again.first_reject) == ("unchanged", 2, None)


def test_a_finished_source_is_not_read_again(place: Workplace) -> None:
    """The same command again does nothing, unless it is told to restart."""
    place.write(*numbered(4), "oops")
    place.run()
    batches = len(place.engine.batches)
    assert facts(place.run()) == ("unchanged", 0, 0, 5, True)
    assert len(place.engine.batches) == batches
    assert facts(place.run(restart=True)) == ("restarted", 4, 1, 0, True)


def test_a_changed_source_is_read_from_its_beginning(place: Workplace) -> None:
    """A source that was edited, or read with another id field, starts over; ids are replaced, not doubled."""
    place.write(*numbered(4))
    place.run()
    place.write(*numbered(5))
    assert facts(place.run()) == ("changed", 5, 0, 0, True)
    assert sorted(place.engine.documents) == ["0", "1", "2", "3", "4"]
    assert place.run(id_field="id").beginning == "changed"


def test_an_emptied_index_is_filled_again(place: Workplace) -> None:
    """A checkpoint does not keep a new index of the same name empty."""
    place.write(*numbered(4))
    place.run()
    place.engine.documents.clear()
    assert facts(place.run()) == ("emptied", 4, 0, 0, True)


def test_a_damaged_checkpoint_means_a_new_beginning(place: Workplace) -> None:
    """A checkpoint that cannot be understood is no reason to fail: adding again is safe."""
    place.write(*numbered(4))
    place.run()
    for damage in ("", "[]", '{"position": 3}', '{"origin": {"source": "x"}}'):
        place.checkpoint.write_text(damage, encoding="utf-8")
        assert facts(place.run()) == ("new", 4, 0, 0, True)


def test_a_limit_counts_over_all_runs(place: Workplace) -> None:
    """A limit stops the ingest unfinished; the same limit adds nothing more, a higher one goes on."""
    place.write("oops", *numbered(10))
    assert facts(place.run(limit=4)) == ("new", 4, 1, 0, False)
    assert facts(place.run(limit=4)) == ("resumed", 0, 0, 5, False)
    assert facts(place.run(limit=6)) == ("resumed", 2, 0, 5, False)
    assert facts(place.run()) == ("resumed", 4, 0, 7, True)
    assert sorted(Counter(doc_id for batch in place.engine.batches for doc_id in batch).values()) == [1] * 10


def test_a_missing_source_is_an_error_at_once(place: Workplace) -> None:
    """Nothing is written for a source that is not there."""
    with pytest.raises(ConfigError, match="no file or folder"):
        place.run()
    assert not place.checkpoint.exists()


def test_a_folder_resumes_and_notices_changes(place: Workplace, tmp_path: Path) -> None:
    """A folder is a source like a file: finished, it is not read again until one of its files changes."""
    place.source = tmp_path / "notes"
    place.source.mkdir()
    for name in "abc":
        (place.source / f"{name}.txt").write_text(name, encoding="utf-8")
    assert facts(place.run(limit=2)) == ("new", 2, 0, 0, False)
    assert facts(place.run()) == ("resumed", 1, 0, 2, True)
    assert place.run().beginning == "unchanged"
    (place.source / "b.txt").write_text("longer", encoding="utf-8")
    assert facts(place.run()) == ("changed", 3, 0, 0, True)
    assert place.engine.documents["b.txt"]["text"] == "longer"


class StrictEngine(MemoryEngine):
    """Takes no document without a title, but the others of its batch."""

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        given = dict(documents)
        refused = {key: "no title" for key, fields in given.items() if "title" not in fields}
        added = super().add((key, fields) for key, fields in given.items() if key not in refused)
        if refused:
            raise DocumentsRefused(refused)
        return added


def test_what_the_engine_refuses_is_a_reject(tmp_path: Path) -> None:
    """Documents that only the engine finds wrong go to the rejects with their lines, and the ingest goes on."""
    place = Workplace(tmp_path)
    place.engine = StrictEngine()
    place.write(*({"_id": f"d{number}", **({"title": "x"} if number % 3 else {})} for number in range(10)))
    report = place.run()
    assert (report.added, report.rejected, report.complete) == (6, 4, True)
    assert [(reject["line"], reject["problem"]) for reject in place.rejected()] == [
        (line, "no title") for line in (1, 4, 7, 10)
    ]
    assert place.run().beginning == "unchanged"


def test_a_limit_with_refused_documents(tmp_path: Path) -> None:
    """A limit that refused documents keep from being reached does not make the ingest complete."""
    place = Workplace(tmp_path)
    place.engine = StrictEngine()
    place.write({"_id": "a", "title": "x"}, {"_id": "b"}, {"_id": "c", "title": "x"})
    assert not place.run(limit=2).complete
    assert place.run().added == 1
    assert sorted(place.engine.documents) == ["a", "c"]
