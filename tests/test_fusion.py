"""Normalisers and fusion: pure functions, so mostly properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge.fusion import Fusion, fuse, head_score, order, tail_score
from rebridge.normalisers import NORMALISERS

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.lists(FINITE, min_size=1, max_size=20)


@pytest.mark.parametrize("name", NORMALISERS)
@given(scores=LISTS)
def test_normalisers_keep_the_order(name: str, scores: list[float]) -> None:
    """A higher score never becomes a lower one, equal scores stay equal, and nothing overflows."""
    normal = NORMALISERS[name](scores)
    assert all(math.isfinite(value) for value in normal)
    for score, value in zip(scores, normal, strict=True):
        for other, other_value in zip(scores, normal, strict=True):
            assert score != other or value == other_value
            assert score <= other or value >= other_value


@pytest.mark.parametrize("name", NORMALISERS)
def test_normalisers_take_nothing(name: str) -> None:
    """No scores in, no scores out."""
    assert NORMALISERS[name]([]) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", [3.0, 1.0, 1.0, 2.0]),
        ("min_max", [1.0, 0.0, 0.0, 0.5]),
        ("rank", [1.0, 0.5, 0.5, 0.75]),
        ("z_score", [1.507557, -0.904534, -0.904534, 0.301511]),
        ("sigmoid", [0.952574, 0.731059, 0.731059, 0.880797]),
    ],
)
def test_normalisers_by_hand(name: str, expected: list[float]) -> None:
    """Figures worked out by hand."""
    assert NORMALISERS[name]([3.0, 1.0, 1.0, 2.0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["min_max", "z_score", "rank"])
@given(scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=20), factor=st.sampled_from([0.5, 2.0, 4.0]))
def test_scale_does_not_matter(name: str, scores: list[int], factor: float) -> None:
    """Relative normalisers give the same for scores that are all multiplied by one factor."""
    scaled = NORMALISERS[name]([score * factor for score in scores])
    assert scaled == pytest.approx(NORMALISERS[name]([float(score) for score in scores]))


def test_weighted_sum_by_hand() -> None:
    """W * min-max(rerank) + (1 - w) * min-max(first stage)."""
    terms = fuse(Fusion(weight=0.75), [10.0, 6.0, 2.0], [-4.0, 4.0, 0.0])
    assert [term.total for term in terms] == pytest.approx([0.25, 0.875, 0.375])


def test_rrf_by_hand() -> None:
    """W / (k + rank) + (1 - w) / (k + rank), equal scores sharing the better rank."""
    terms = fuse(Fusion("rrf", weight=0.5, rrf_k=60), [10.0, 6.0, 2.0], [-4.0, 4.0, 4.0])
    assert [term.total for term in terms] == pytest.approx(
        [0.5 / 61 + 0.5 / 63, 0.5 / 62 + 0.5 / 61, 0.5 / 63 + 0.5 / 61]
    )


@given(first=LISTS, data=st.data(), weight=st.floats(0, 1), method=st.sampled_from(["weighted", "rrf", "replace"]))
def test_the_best_of_both_wins(first: list[float], data: st.DataObject, weight: float, method: str) -> None:
    """A candidate that is best in both lists comes first, whatever the method."""
    rerank = data.draw(st.lists(FINITE, min_size=len(first), max_size=len(first)))
    best = data.draw(st.integers(0, len(first) - 1))
    first[best], rerank[best] = max(first), max(rerank)
    terms = fuse(Fusion(method, weight), first, rerank)  # type: ignore[arg-type]
    assert terms[best].total == max(term.total for term in terms)


@pytest.mark.parametrize("method", ["weighted", "rrf", "replace"])
@given(
    rerank=st.lists(st.none() | FINITE, min_size=1, max_size=9).filter(
        lambda scores: any(s is not None for s in scores)
    )
)
def test_unscored_candidates_count_as_the_lowest(method: str, rerank: list[float | None]) -> None:
    """With equal first-stage scores, candidates that were not scored come last, in first-stage order."""
    terms = fuse(Fusion(method), [1.0] * len(rerank), rerank)  # type: ignore[arg-type]
    ranking = order(terms, rerank)
    unscored = [index for index, score in enumerate(rerank) if score is None]
    assert ranking[len(rerank) - len(unscored) :] == unscored


def test_one_candidate() -> None:
    """A single candidate is no special case."""
    for method in ("weighted", "rrf", "replace"):
        assert math.isfinite(fuse(Fusion(method), [3.0], [-2.0])[0].total)


def test_bad_input() -> None:
    """Lists of different length, or no score at all, are refused."""
    with pytest.raises(ValueError, match="2 first-stage scores for 1"):
        fuse(Fusion(), [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="at least one"):
        fuse(Fusion(), [1.0], [None])


@given(a=FINITE, b=FINITE, rank=st.integers(1, 10**6), window=st.integers(1, 10**4))
def test_final_scores(a: float, b: float, rank: int, window: int) -> None:
    """Head scores rise with the total and stay above every tail score; tail scores fall with the rank."""
    assert (head_score(a) >= head_score(b)) or a < b
    assert head_score(a) >= 1 > tail_score(window + rank, window) > tail_score(window + rank + 1, window) > 0


@given(a=st.floats(-1000, 1000), b=st.floats(-1000, 1000))
def test_low_logits_stay_apart(a: float, b: float) -> None:
    """Totals that differ visibly keep different final scores, also far below zero, where an exponential would not."""
    assert abs(a - b) < 1e-6 or head_score(a) != head_score(b)
