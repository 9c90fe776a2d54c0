"""The worker: order, budget, fairness, cancellation, deadlines and failures, with a family that needs no model."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, wait
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import DeadlineExceeded, ScorerError
from rebridge.scorers.cache import EmbeddingStore
from rebridge.scorers.family import Family
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.tokens import Tokens
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WAIT = 20


def value(query: str, passage: str) -> float:
    """A score that tells every pair apart from its neighbours."""
    return len(query) * 1000.0 + len(passage) + sum(map(ord, passage)) / 1e6


class Fake(Family[Any]):
    """One token per character. Passages named ``boom`` fail, ``nan`` have no score; ``query`` is read apart."""

    def __init__(self, *, apart: bool = False, most: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.owners: list[list[str]] = []
        self.apart = apart
        self.most = most
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.texts: dict[int, tuple[str, str]] = {}

    def cut(self, passage: str, windows: Windows) -> list[str]:
        return [passage[start : start + windows.size] for start in range(0, max(1, len(passage)), windows.stride)][
            : windows.limit
        ]

    def tokens(self, query: str, passage: str) -> Tokens:
        tokens = Tokens(np.zeros(len(passage), dtype=np.int32))
        self.texts[id(tokens)] = (query, passage)
        self.kept = [*getattr(self, "kept", []), tokens]  # ids stay unique while the tokens live
        return tokens

    def encode_query(self, query: str) -> Tokens | None:
        return self.tokens("", query) if self.apart else None

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        if "unreadable" in passages:
            raise ValueError("cannot read")
        return [self.tokens(query, passage) for passage in passages]

    def forward(self, batch: Sequence[Tokens]) -> list[Any]:
        self.entered.set()
        assert self.gate.wait(WAIT)
        texts = [self.texts[id(tokens)] for tokens in batch]
        if self.most is not None and len(batch) > self.most:
            raise MemoryError("too many")
        if any(passage == "huge" for _, passage in texts):
            raise MemoryError("too long")
        if any(passage == "boom" for _, passage in texts):
            raise RuntimeError("broken")
        self.batches.append([len(tokens) for tokens in batch])
        self.owners.append([query for query, _ in texts])
        if self.apart:
            return [passage for _, passage in texts]
        return [math.nan if passage == "nan" else value(query, passage) for query, passage in texts]

    def finish(self, query: Any, passage: Any) -> float:
        return value(query, passage) if self.apart else float(passage)


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[LocalScorer[Any], Fake]]]:
    """(token budget, options of `Fake`) -> scorer and its family; closed afterwards."""
    made: list[tuple[LocalScorer[Any], Fake]] = []

    def build(budget: int = 100, **options: Any) -> tuple[LocalScorer[Any], Fake]:
        family = Fake(**options)
        made.append((LocalScorer("fake", family, budget), family))
        return made[-1]

    yield build
    for scorer, family in made:
        family.gate.set()
        scorer.close()


def busy(scorer: LocalScorer[Any], family: Fake) -> Any:
    """Keep the worker inside a batch until ``family.gate`` is set; the future of that batch."""
    family.gate.clear()
    future = scorer.submit("busy", ["b"])
    assert family.entered.wait(WAIT)
    return future


jobs_of_texts = st.lists(
    st.tuples(st.text("ab", max_size=4), st.lists(st.text("xyz", max_size=30), max_size=25)), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(jobs=jobs_of_texts, budget=st.integers(1, 120), apart=st.booleans())
def test_any_mix_of_jobs(jobs: list[tuple[str, list[str]]], budget: int, apart: bool) -> None:  # noqa: FBT001 - given
    """Whatever the jobs and the budget: each passage gets its own score, in order, and no batch is over budget."""
    family = Fake(apart=apart)
    with LocalScorer("fake", family, budget) as scorer:
        family.gate.clear()
        futures = [scorer.submit(query, passages) for query, passages in jobs]
        family.gate.set()
        for (query, passages), future in zip(jobs, futures, strict=True):
            assert future.result(WAIT) == [(value(query, passage),) for passage in passages]
    for lengths in family.batches:
        assert len(lengths) == 1 or max(1, *lengths) * len(lengths) <= budget
    if not apart:
        assert sum(map(len, family.batches)) == sum(len(passages) for _, passages in jobs)


@pytest.mark.parametrize("apart", [False, True])
def test_ten_thousand_passages(make: Callable[..., Any], apart: bool) -> None:  # noqa: FBT001 - parametrised
    """A huge window is read in chunks: what waits is bounded, and all scores come in order."""
    scorer, family = make(4096, apart=apart)
    family.kept = []
    family.tokens = lambda query, passage: _Remembered(np.zeros(len(passage), np.int32), None, query, passage)
    family.forward = lambda batch: [
        tokens.passage if apart else value(tokens.query, tokens.passage) for tokens in batch
    ]
    passages = [f"passage {number} " * (number % 7) for number in range(10_000)]
    assert scorer.submit("q", passages).result(WAIT) == [(value("q", passage),) for passage in passages]


class _Remembered(Tokens):
    """Tokens that know their texts."""

    def __init__(self, ids: Any, types: Any, query: str, passage: str) -> None:
        super().__init__(ids, types)
        object.__setattr__(self, "query", query)
        object.__setattr__(self, "passage", passage)


def test_windows_come_back_per_passage(make: Callable[..., Any]) -> None:
    """Each passage has one score per window, in order."""
    scorer, _ = make()
    windows = Windows(size=2, stride=2, limit=2)
    assert scorer.submit("q", ["abcdef", "", "a"], windows=windows).result(WAIT) == [
        (value("q", "ab"), value("q", "cd")),
        (value("q", ""),),
        (value("q", "a"),),
    ]


def test_windows_must_be_possible(make: Callable[..., Any]) -> None:
    """A stride of 0 would never end."""
    scorer, _ = make()
    with pytest.raises(ScorerError, match="at least 1"):
        scorer.submit("q", ["a"], windows=Windows(size=2, stride=0, limit=2))


def test_small_job_overtakes_large_one(make: Callable[..., Any]) -> None:
    """A small job does not wait until a large one is done: it is in the first batch or two."""
    scorer, family = make(40)
    blocked = busy(scorer, family)
    large = scorer.submit("large", ["x" * 20] * 50)
    small = scorer.submit("small", ["y" * 20])
    family.gate.set()
    wait([blocked, large, small], WAIT)
    turn = next(number for number, owners in enumerate(family.owners) if "small" in owners)
    assert turn <= 2
    assert len(family.owners) > 20


def test_equal_jobs_are_done_one_after_the_other(make: Callable[..., Any]) -> None:
    """Of more jobs than can be done in time some are done: the model's time is not spread over all."""
    scorer, family = make(20)
    blocked = busy(scorer, family)
    futures = [scorer.submit(name, ["x" * 20] * 10) for name in "abcd"]
    family.gate.set()
    wait([blocked, *futures], WAIT)
    owners = [batch[0] for batch in family.owners[1:]]
    assert owners == sorted(owners)
    assert len(owners) == 40


def test_large_job_is_not_starved_by_small_ones(make: Callable[..., Any]) -> None:
    """The oldest job gets every second batch, however many smaller ones come in."""
    scorer, family = make(20)
    blocked = busy(scorer, family)
    large = scorer.submit("large", ["x" * 20] * 10)
    small = [scorer.submit("small", ["y" * 20]) for _ in range(40)]
    family.gate.set()
    wait([blocked, large, *small], WAIT)
    assert max(number for number, owners in enumerate(family.owners) if "large" in owners) <= 21


def test_batches_are_filled_across_jobs(make: Callable[..., Any]) -> None:
    """Room that one job leaves in a batch is used by another."""
    scorer, family = make(100)
    blocked = busy(scorer, family)
    futures = [scorer.submit(str(number), ["x" * 10] * 2) for number in range(5)]
    family.gate.set()
    wait([blocked, *futures], WAIT)
    assert len(family.batches) == 2  # the one that blocked, and all five jobs together


def test_cancelled_job_costs_nothing_more(make: Callable[..., Any]) -> None:
    """A job that is cancelled while it waits is never computed; those who wait for it are told."""
    scorer, family = make()
    blocked = busy(scorer, family)
    cancelled = scorer.submit("cancelled", ["a"] * 30)
    after = scorer.submit("after", ["a"])
    assert cancelled.cancel()
    family.gate.set()
    assert after.result(WAIT)
    assert blocked.result(WAIT)
    assert wait([cancelled], WAIT).done
    with pytest.raises(CancelledError):
        cancelled.result(0)
    assert "cancelled" not in {owner for owners in family.owners for owner in owners}


def test_cancelling_between_batches(make: Callable[..., Any]) -> None:
    """A job that is being computed stops at the next batch."""
    scorer, family = make(10)
    family.gate.clear()
    future = scorer.submit("q", ["x" * 10] * 20)
    assert family.entered.wait(WAIT)
    assert future.cancel()
    family.gate.set()
    assert scorer.submit("next", ["a"]).result(WAIT)
    assert sum(owners == ["q"] for owners in family.owners) == 1


def test_deadline_that_has_passed(make: Callable[..., Any]) -> None:
    """Work that nobody waits for is not begun."""
    scorer, family = make()
    with pytest.raises(DeadlineExceeded, match="0 scores for 1 passages"):
        scorer.submit("late", ["a"], deadline=time.monotonic() - 1).result(WAIT)
    assert family.batches == []


def test_deadline_between_batches(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that passes during a batch ends the job after it; jobs without one go on."""
    now = [100.0]
    monkeypatch.setattr("rebridge.scorers.jobs.time.monotonic", lambda: now[0])
    scorer, family = make(10)
    family.gate.clear()
    late = scorer.submit("late", ["x" * 10] * 20, deadline=101.0)
    assert family.entered.wait(WAIT)
    patient = scorer.submit("patient", ["a"])
    now[0] = 102.0
    family.gate.set()
    with pytest.raises(DeadlineExceeded):
        late.result(WAIT)
    assert patient.result(WAIT) == [(value("patient", "a"),)]


def test_failing_batch_fails_only_its_jobs(make: Callable[..., Any]) -> None:
    """An error of the model reaches the jobs in that batch, with its cause; the worker goes on."""
    scorer, family = make(4)
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["boom"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="RuntimeError: broken") as caught:
        bad.result(WAIT)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert good.result(WAIT)
    assert blocked.result(WAIT)


def test_failing_tokeniser_fails_only_its_job(make: Callable[..., Any]) -> None:
    """An error while tokenising reaches that job alone."""
    scorer, family = make()
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["unreadable"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="cannot read"):
        bad.result(WAIT)
    assert good.result(WAIT)
    assert blocked.result(WAIT)


@pytest.mark.parametrize("most", [1, 3])
def test_out_of_memory_halves_the_batch(make: Callable[..., Any], most: int) -> None:
    """A batch that does not fit is split until it does, and later batches are smaller from the start."""
    scorer, family = make(1000, most=most)
    passages = ["x" * 10] * 16
    assert scorer.submit("q", passages).result(WAIT) == [(value("q", passage),) for passage in passages]
    assert max(map(len, family.batches)) <= most
    assert scorer._worker._budget.tokens <= 10 * most


def test_input_that_never_fits(make: Callable[..., Any]) -> None:
    """One input too many for the memory even alone fails its own job with advice, and no other."""
    scorer, family = make(1000)
    blocked = busy(scorer, family)
    bad = scorer.submit("bad", ["huge"])
    good = scorer.submit("good", ["fine"])
    family.gate.set()
    with pytest.raises(ScorerError, match="lower max_length"):
        bad.result(WAIT)
    assert good.result(WAIT) == [(value("good", "fine"),)]
    assert blocked.result(WAIT)


def test_passage_without_a_score(make: Callable[..., Any]) -> None:
    """NaN stays with its own passage; `raw_scores` names it."""
    scorer, _ = make()
    first, odd, last = scorer.submit("q", ["a", "nan", "b"]).result(WAIT)
    assert math.isnan(odd[0])
    assert (first, last) == ((value("q", "a"),), (value("q", "b"),))
    with pytest.raises(ScorerError, match=r"no finite score for the passages \[1\]"):
        scorer.raw_scores("q", ["a", "nan"])


def test_no_score_at_all(make: Callable[..., Any]) -> None:
    """A model that gives only NaN has failed."""
    scorer, _ = make()
    with pytest.raises(ScorerError, match="no finite score"):
        scorer.submit("q", ["nan", "nan"]).result(WAIT)


def test_close(make: Callable[..., Any]) -> None:
    """Closing fails what waits, ends the thread, may be repeated, and refuses later work."""
    scorer, family = make()
    busy(scorer, family)
    waiting = scorer.submit("waiting", ["a"])
    thread = scorer._worker._thread
    closing = threading.Thread(target=scorer.close)
    closing.start()
    with pytest.raises(ScorerError, match="closed"):
        waiting.result(WAIT)
    family.gate.set()
    closing.join(WAIT)
    thread.join(WAIT)
    assert not thread.is_alive()
    scorer.close()
    with pytest.raises(ScorerError, match="is closed"):
        scorer.submit("late", ["a"]).result(WAIT)


def test_idle_scorer_has_no_thread(make: Callable[..., Any]) -> None:
    """The thread is started by the first job."""
    scorer, _ = make()
    assert scorer._worker._thread is None


def test_interpreter_ends_with_work_left() -> None:
    """A program that ends while passages wait exits by itself."""
    program = (
        "import time\n"
        "import numpy as np\n"
        "from rebridge.scorers.family import Family\n"
        "from rebridge.scorers.local import LocalScorer\n"
        "from rebridge.scorers.tokens import Tokens\n"
        "class Slow(Family):\n"
        "    cut = finish = None\n"
        "    def encode(self, query, passages): return [Tokens(np.zeros(9, np.int32)) for _ in passages]\n"
        "    def forward(self, batch): time.sleep(0.2); return [0.0] * len(batch)\n"
        "LocalScorer('slow', Slow(), 9).submit('q', ['a'] * 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=WAIT, capture_output=True, check=False)  # noqa: S603 - our own program
    assert (done.returncode, done.stderr) == (0, b"")


class Kept(EmbeddingStore[Any]):
    """A store in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        return self.kept.get(key)

    def put(self, key: bytes, output: Any) -> None:
        self.kept[key] = output


def test_passages_in_flight_are_run_once(make: Callable[..., tuple[LocalScorer[Any], Fake]]) -> None:
    """Searches over the same hits at the same time run each passage once where its output can be kept."""
    scorer, family = make(6, apart=True)
    family.store = Kept()
    first = busy(scorer, family)
    passages = ["aaaaaa", "bbbbbb", "cccccc", "dddddd"]
    futures = [scorer.submit(query, passages) for query in ("q", "r", "s")]
    family.gate.set()
    for query, future in zip(("q", "r", "s"), futures, strict=True):
        assert future.result(WAIT) == [(value(query, passage),) for passage in passages]
    first.result(WAIT)
    run = [length for batch in family.batches for length in batch if length == len(passages[0])]
    assert len(run) == len(passages)


def test_a_batch_that_takes_long_can_be_seen(make: Callable[..., Any]) -> None:
    """Since when the model has been at a batch is known as long as it is; an idle one is at none."""
    scorer, family = make(10)
    assert scorer.busy_since() is None
    before = time.monotonic()
    future = busy(scorer, family)
    assert before <= scorer.busy_since() <= time.monotonic()
    family.gate.set()
    future.result(WAIT)
    scorer.close()  # waits for the end of the batch
    assert scorer.busy_since() is None


def test_what_was_done_is_counted(make: Callable[..., Any]) -> None:
    """How full batches are, and how many passages had been seen before, can be told at any time."""
    scorer, family = make(10)
    family.store = Kept()
    scorer.submit("q", ["aaaa", "bbb"]).result(WAIT)
    assert (scorer.counts().batches, scorer.counts().inputs) == (1, 2)
    assert (scorer.counts().tokens, scorer.counts().room, scorer.counts().kept) == (7, 10, 0)
    scorer.submit("q", ["bbb", "aaaa"]).result(WAIT)
    assert (scorer.counts().batches, scorer.counts().kept) == (1, 2)
