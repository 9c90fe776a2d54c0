"""An ingest that is interrupted goes on where it was, and loses and doubles nothing."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .workplace import MemoryEngine, Workplace, facts, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from rebridge.ingest import IngestReport


@contextmanager
def interruption(after: int) -> Iterator[None]:
    """Raise KeyboardInterrupt before the given line that is executed in the ingest package or in `MemoryEngine.add`."""
    left = after

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal left
        name = frame.f_code.co_filename
        if "rebridge/ingest/" not in name.replace("\\", "/") and frame.f_code is not MemoryEngine.add.__code__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        sys.settrace(before)


# An interruption between `open` and `with` leaves closing the file to the garbage collector, which Python reports.
closes_late = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@closes_late
@settings(deadline=None, max_examples=150)
@given(
    good=st.lists(st.booleans(), max_size=14),
    batch_size=st.integers(1, 5),
    moments=st.lists(st.integers(1, 900), max_size=4),
)
def test_an_interruption_at_any_moment_costs_nothing(
    tmp_path_factory: pytest.TempPathFactory, good: list[bool], batch_size: int, moments: list[int]
) -> None:
    """However often and wherever it is interrupted, the next runs end with every document and each reject once."""
    place = Workplace(tmp_path_factory.mktemp("interrupted"))
    place.write(*({"id": number} if fine else f"bad {number}" for number, fine in enumerate(good)))
    for moment in moments:
        with interruption(moment):
            place.run(batch_size=batch_size)
    report = place.run(batch_size=batch_size)
    assert report.complete
    assert report.added + report.rejected + report.skipped == len(good)
    assert place.engine.documents == {str(number): {"id": number} for number, fine in enumerate(good) if fine}
    assert [reject["raw"] for reject in place.rejected()] == [f"bad {n}" for n, fine in enumerate(good) if not fine]


@closes_late
def test_every_single_moment_is_safe(tmp_path: Path) -> None:
    """The same, exhaustively for one source: each line of the package in turn is where the interruption comes."""
    completed = moment = 0
    while not completed:
        moment += 1
        folder = tmp_path / str(moment)
        folder.mkdir()
        place = Workplace(folder)
        place.write({"id": 0}, "bad 1", {"id": 2}, "bad 3")
        with interruption(moment):
            place.run(batch_size=2)
            completed = moment
        place.run(batch_size=2)
        assert sorted(place.engine.documents) == ["0", "2"]
        assert [reject["raw"] for reject in place.rejected()] == ["bad 1", "bad 3"]
    assert completed > 100
    gc.collect()  # files that an interruption left open are closed here, and not in the middle of another test


def test_an_interruption_comes_through(place: Workplace) -> None:
    """The interruption itself is not swallowed, and what was durable before it is not added again."""
    place.write(*numbered(7))

    def interrupt(_report: IngestReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.run(on_progress=interrupt)
    assert facts(place.run()) == ("resumed", 4, 0, 3, True)
    assert place.engine.batches == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_a_torn_reject_is_written_again(place: Workplace) -> None:
    """A line of the rejects file that a crash cut off is replaced by the whole one; lines of others stay."""
    place.write("bad", *numbered(3))
    place.run(limit=0)
    whole = b'{"theirs": 1}\n'
    place.rejects.write_bytes(whole + b'{"source": "docs.js')
    place.run()
    assert place.rejects.read_bytes().startswith(whole)
    assert [reject.get("raw") for reject in place.rejected()] == [None, "bad"]
