"""Parts of a batch in several threads give what the batch gives at once, in its order."""

from __future__ import annotations

import gc
import os
import runpy
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.scorers.local import LocalScorer
from rebridge.scorers.streams import Streams, cpu_streams, even_parts
from rebridge.scorers.tokens import Tokens

from .batching.conftest import WAIT, Fake, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TEXTS = [f"{number} red running shoes and how storage works in Berlin " * (1 + number % 4) for number in range(30)]


@pytest.fixture
def two() -> Streams:
    """Two of them, whatever the machine has."""
    return Streams(2)


def inputs(*lengths: int) -> list[Tokens]:
    return [Tokens(np.full(length, number, dtype=np.int32)) for number, length in enumerate(lengths)]


def numbers(batch: Sequence[Tokens]) -> list[int]:
    return [int(tokens.ids[0]) for tokens in batch]


@given(st.lists(st.integers(0, 600), max_size=40), st.integers(2, 9))
def test_parts_are_even_or_none(lengths: list[int], count: int) -> None:
    """Each input is in one part; each part has work, and none has much more than the others."""
    parts = even_parts(lengths, count)
    if parts is not None:
        assert sorted(index for part in parts for index in part) == list(range(len(lengths)))
        assert all(parts)
        assert len(parts) <= count
        tokens = [sum(lengths[index] for index in part) for part in parts]
        assert max(tokens) <= 1.25 * sum(tokens) / count
        for part in parts:
            assert [lengths[index] for index in part] == sorted((lengths[index] for index in part), reverse=True)


def test_what_is_parted_and_what_is_not() -> None:
    """Equal lengths are; a single input, parts of unequal work and small ones are not."""
    assert even_parts([300, 10, 300, 10], 2) == [[0, 1], [2, 3]]
    assert even_parts([300], 2) is None
    assert even_parts([300, 300, 300], 2) is None
    assert even_parts([20, 20], 2) is None
    assert even_parts([], 2) is None


def test_outputs_are_in_order_and_parts_at_once(two: Streams) -> None:
    """Both parts are under way at the same time, with one processor each; other threads keep theirs."""
    together, seen = threading.Barrier(2, timeout=20), []
    before = torch.get_num_threads()

    def forward(batch: Sequence[Tokens]) -> list[int]:
        together.wait()
        seen.append((len(batch), torch.get_num_threads()))
        return numbers(batch)

    assert two.run(forward, inputs(200, 150, 100, 140, 210, 110)) == [0, 1, 2, 3, 4, 5]
    assert seen == [(3, 1)] * 2
    assert torch.get_num_threads() == before
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [before]


@pytest.mark.parametrize(
    ("processors", "expected"), [(2, (2, 1)), (8, (8, 1)), (9, (4, 2)), (12, (6, 2)), (16, (8, 2)), (64, (8, 8))]
)
def test_many_processors_share_parts(
    processors: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has no more than eight parts, lest others wait long for its end; a few processors share each then."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: processors)
    streams = cpu_streams()
    assert streams is not None
    assert (streams.count, streams.processors) == expected


def test_a_part_is_computed_by_so_many_processors() -> None:
    """Each thread has the number of processors that it was given."""
    assert Streams(2, 3).alone(torch.get_num_threads) == 3


def test_without_even_parts_there_is_one_call(two: Streams) -> None:
    """In the thread that asks, which shares each operation among all processors."""
    seen = []

    def forward(batch: Sequence[Tokens]) -> list[int]:
        seen.append(threading.current_thread())
        return numbers(batch)

    assert two.run(forward, inputs(300, 20)) == [0, 1]
    assert seen == [threading.current_thread()]


def test_a_failure_is_raised_after_all_parts_have_ended(two: Streams) -> None:
    """Nothing computes any more when the caller hears of it, and the threads go on to work."""
    ended = threading.Event()

    def forward(batch: Sequence[Tokens]) -> list[int]:
        if 0 in numbers(batch):
            raise MemoryError("full")
        assert not ended.wait(0.2)
        ended.set()
        return numbers(batch)

    with pytest.raises(MemoryError, match="full"):
        two.run(forward, inputs(200, 200))
    assert ended.is_set()
    assert two.run(numbers, inputs(200, 200)) == [0, 1]


def test_what_a_failed_part_held_is_freed_with_its_error(two: Streams) -> None:
    """Where memory is short, a smaller batch must not wait for the garbage collector."""
    held: list[weakref.ref[Any]] = []

    def forward(batch: Sequence[Tokens]) -> list[int]:
        states = np.zeros(1000)
        held.append(weakref.ref(states))
        raise MemoryError(f"full with {len(batch)} and {len(states)}")

    gc.disable()
    try:
        with suppress(MemoryError):
            two.run(forward, inputs(200, 200))
        assert len(held) == 2
        assert [each() for each in held] == [None, None]
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_there_are_threads_again(two: Streams) -> None:
    """The child has none of its parent's threads, and starts its own."""
    assert two.run(numbers, inputs(200, 200)) == [0, 1]
    child = os.fork()
    if child == 0:
        os._exit(0 if two.run(numbers, inputs(200, 200)) == [0, 1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "deberta-v2", "modernbert"])
def test_scores_are_the_same(
    kind: str, tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any], two: Streams
) -> None:
    """Of cross-encoders of every architecture, in batches of any size; and all processors are used."""
    scorer = open_tiny(build_cross_encoder(tmp_path, kind), token_budget=512)
    scorer.family.streams = None
    expected = scorer.raw_scores("red shoes", TEXTS)
    busy: set[threading.Thread] = set()
    forward = scorer.family.forward

    def watched(batch: Any) -> Any:
        busy.add(threading.current_thread())
        return forward(batch)

    scorer.family.forward, scorer.family.streams = watched, two
    assert scorer.raw_scores("red shoes", TEXTS) == pytest.approx(expected, abs=1e-5)
    assert len([thread for thread in busy if "stream" in thread.name]) == 2


def test_batches_have_as_many_inputs_for_each_part(
    bi_encoder: Path, open_tiny: Callable[..., Any], two: Streams
) -> None:
    """As long as there are more passages: an odd one would leave a processor without work."""
    scorer = open_tiny(bi_encoder, token_budget=500)
    expected = scorer.raw_scores("red shoes", TEXTS)
    scorer = open_tiny(bi_encoder, token_budget=500)
    counts: list[int] = []
    run = scorer.family.run

    def counted(batch: Any) -> Any:
        counts.append(len(batch))
        return run(batch)

    scorer.family.run, scorer.family.streams = counted, two
    assert scorer.raw_scores("red shoes", TEXTS) == pytest.approx(expected, abs=1e-5)
    assert sum(counts) == 1 + len(TEXTS)
    assert len(counts) > 2
    assert all(count % 2 == 0 for count in counts[:-1])


@settings(max_examples=40)
@given(
    jobs=st.lists(st.lists(st.integers(1, 400), max_size=12), min_size=1, max_size=4),
    budget=st.integers(400, 3000),
    count=st.integers(2, 5),
)
def test_any_mix_of_jobs(jobs: list[list[int]], budget: int, count: int) -> None:
    """Whatever the jobs, the budget and the number of streams: each passage gets its own score, in order."""
    family = Fake()
    family.streams = Streams(count)
    with LocalScorer("fake", family, budget) as scorer:
        texts = [["x" * length for length in job] for job in jobs]
        family.gate.clear()
        futures = [scorer.submit(f"q{number}", job) for number, job in enumerate(texts)]
        family.gate.set()
        for number, (job, future) in enumerate(zip(texts, futures, strict=True)):
            assert future.result(WAIT) == [(value(f"q{number}", text),) for text in job]


def test_which_models_have_streams(
    monkeypatch: pytest.MonkeyPatch, cross_encoder: Path, bi_encoder: Path, open_tiny: Callable[..., Any], two: Streams
) -> None:
    """Encoders on our own layers; not language models, which keep beginnings of prompts, nor transformers' layers."""
    monkeypatch.setattr("rebridge.scorers.family.cpu_streams", lambda: two)
    assert open_tiny(cross_encoder).family.streams is two
    assert open_tiny(bi_encoder).family.streams is two
    assert open_tiny(cross_encoder, backend="transformers").family.streams is None
    cases = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
    language = open_tiny(cases["model_folder"]("qwen3"), recipe="qwen3-reranker")
    assert language.family.streams is None


def test_threads_that_cannot_start_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch, two: Streams) -> None:
    """Torch has the number of threads that it had, and the next try can do it."""
    before, start, started = torch.get_num_threads(), threading.Thread.start, []

    def one_alone(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", one_alone)
        with pytest.raises(RuntimeError, match="can't start"):
            two.start()
    started[0].join(20)
    assert not started[0].is_alive()
    assert torch.get_num_threads() == before
    assert two.run(numbers, inputs(200, 200)) == [0, 1]
