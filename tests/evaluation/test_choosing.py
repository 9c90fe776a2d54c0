"""Choosing a setting by values per query, and what the choice is worth on queries that it has not seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rebridge.evaluation.tuning.choosing import choose, cross_validate, folds


def test_chooses_the_best() -> None:
    """The highest mean is chosen; of equal ones the cheapest, then the first."""
    values = np.array([[0.1, 0.2, 0.3], [0.5, 0.1, 0.6], [0.6, 0.1, 0.5], [0.6, 0.5, 0.1]])
    assert choose(values, [1, 2, 2, 2]) == 1
    assert choose(values, [1, 2, 1, 1]) == 2


def test_keeps_its_own() -> None:
    """The pipeline's own setting is kept unless the best is ahead by more than a standard error of the difference."""
    own, ahead = np.array([0.2, 0.4, 0.6, 0.8]), np.array([-0.02, 0.0, 0.02, 0.08])
    assert choose(np.array([own + ahead, own]), [1, 1], own=1) == 1  # 0.02 ahead, standard error 0.0216
    assert choose(np.array([own + ahead + 0.01, own]), [1, 1], own=1) == 0
    assert choose(np.array([own + ahead, own]), [1, 1]) == 0


@given(queries=st.integers(2, 60), count=st.integers(2, 9), seed=st.integers(0, 99))
def test_folds(queries: int, count: int, seed: int) -> None:
    """Folds share no query, hold all, differ in size by one at most, and hang on the seed alone."""
    texts = [f"text {number}" for number in range(queries)]
    dealt = folds(texts, count, seed)
    assert sorted(np.concatenate(dealt)) == list(range(queries))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert all((a == b).all() for a, b in zip(dealt, folds(texts, count, seed), strict=True))


@given(texts=st.lists(st.sampled_from(["red shoe", "Red  shoe ", "boot", "hat", "scarf", "coat"]), min_size=5))
def test_equal_texts_share_a_fold(texts: list[str]) -> None:
    """Queries of the same text, whatever its case and spaces, are never on both sides of a choice."""
    dealt = [{" ".join(texts[column].lower().split()) for column in fold} for fold in folds(texts, 3, 0)]
    assert sum(map(len, dealt)) == len(set().union(*dealt))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@given(
    values=arrays(float, (4, 12), elements=st.floats(0, 1)),
    other=arrays(float, (4, 12), elements=st.floats(0, 1)),
    seed=st.integers(0, 9),
)
def test_held_out_queries_choose_nothing(values: np.ndarray, other: np.ndarray, seed: int) -> None:
    """Whatever a fold's own queries are worth, the setting chosen for them is the same, and it is what they get."""
    dealt, baseline, costs = folds([f"text {number}" for number in range(12)], 3, seed), np.zeros(12), [1, 1, 2, 2]
    before = cross_validate(values, baseline, costs, dealt, own=3)
    for number, fold in enumerate(dealt):
        changed = values.copy()
        changed[:, fold] = other[:, fold]
        after = cross_validate(changed, baseline, costs, dealt, own=3)
        assert after.chosen[number] == before.chosen[number]
        assert (after.held_out[fold] == other[before.chosen[number], fold]).all()


def test_noise_is_worth_nothing() -> None:
    """Among settings that differ by chance alone, the best gains on the queries that chose it, and not on others."""
    values = np.random.default_rng(1).uniform(size=(200, 50))
    baseline = np.full(50, 0.5)
    crossed = cross_validate(values, baseline, [1] * 200, folds([f"text {number}" for number in range(50)], 5, 0))
    assert crossed.tuning_gain > 0.08
    assert abs(crossed.held_out.mean() - 0.5) < 0.06
