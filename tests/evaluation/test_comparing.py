"""Paired tests: exact where that is possible, close to scipy elsewhere, corrected for being several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ConfigError
from rebridge.evaluation.comparing import bootstrap_interval, compare, holm, sign_flip_test
from rebridge.evaluation.model import Result

#: Multiples of 1/8, whose sums are exact, so that equal ones are equal for scipy too.
differences = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=2, max_size=12)


def result(name: str, values: list[float]) -> Result:
    return Result(name, {"nDCG@10": {f"q{number}": value for number, value in enumerate(values)}})


@settings(max_examples=50)
@given(differences)
def test_exact_p(given_differences: list[float]) -> None:
    """With few queries p is exact: that of scipy's permutation test over all combinations of signs."""
    stats = pytest.importorskip("scipy.stats")
    values = np.array(given_differences)
    expected = stats.permutation_test(
        (values, np.zeros_like(values)),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    assert sign_flip_test(values) == pytest.approx(min(1.0, expected), abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05])
def test_drawn_p(shift: float) -> None:
    """With many queries p is that of scipy's t-test, which is right for such differences, but for what chance does."""
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).normal(shift, 0.3, 300)
    assert sign_flip_test(values, seed=3) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_interval() -> None:
    """The interval is scipy's percentile bootstrap, but for what chance does."""
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(2).exponential(0.2, 200) - 0.1
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=5).confidence_interval
    assert bootstrap_interval(values) == pytest.approx(tuple(expected), abs=0.002)


def test_interval_covers() -> None:
    """Of many samples about 95 in 100 have the true mean in their interval."""
    draws = np.random.default_rng(4).normal(0.05, 0.2, (200, 60))
    intervals = [bootstrap_interval(values) for values in draws]
    assert 0.90 <= np.mean([low <= 0.05 <= high for low, high in intervals]) <= 0.99


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm(values: list[float]) -> None:
    """Corrected values: never lower, at most 1, in the same order, the smallest times their number; one stays."""
    adjusted = holm(values)
    assert all(p <= corrected <= 1 for p, corrected in zip(values, adjusted, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[index] for index in order] == sorted(adjusted)
    if values:
        assert min(adjusted) == min(1.0, len(values) * min(values))


def test_holm_by_hand() -> None:
    """The example of Holm's procedure worked out by hand."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_comparison() -> None:
    """Means, difference, wins, ties and losses are counted over the same queries, whatever their order."""
    base, better, same = (
        result("base", [0.1, 0.5, 0.5, 0.0]),
        result("better", [0.2, 0.4, 0.5, 1.0]),
        result("same", [0.1, 0.5, 0.5, 0.0]),
    )
    shuffled = Result("better", {"nDCG@10": dict(reversed(better.values["nDCG@10"].items()))})
    first, second = compare([base, shuffled, same], "nDCG@10", baseline="base")
    assert (first.variant, first.baseline, first.measure) == ("better", "base", "nDCG@10")
    assert (first.mean, first.baseline_mean) == pytest.approx((0.525, 0.275))
    assert first.difference == pytest.approx(0.25)
    assert (first.wins, first.ties, first.losses) == (2, 1, 1)
    assert first.low < first.difference < first.high
    assert first.p == 0.75  # of the sums 1.2, 1.0, 1.0 and 0.8, which come with either sign, three are as large as 1.0
    assert (second.difference, second.low, second.high, second.p, second.p_adjusted) == (0, 0, 0, 1, 1)


def test_same_seed_same_figures() -> None:
    """A comparison does not depend on what else is compared, nor on when; another seed draws otherwise."""
    generator = np.random.default_rng(0)
    results = [result(name, list(generator.random(40))) for name in "abc"]
    both, alone = compare(results, "nDCG@10", baseline="a"), compare([results[2], results[0]], "nDCG@10", baseline="a")
    assert (both[1].p, both[1].low) == (alone[0].p, alone[0].low)
    assert both == compare(results, "nDCG@10", baseline="a")
    assert both != compare(results, "nDCG@10", baseline="a", seed=1)


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ([result("a", [1.0])], {"baseline": "b"}, "unknown variant 'b'"),
        ([result("a", [1.0])], {"measure": "RR@10"}, "unknown measure"),
        ([result("a", [1.0]), result("b", [1.0, 2.0])], {}, "different queries: only one of them has 'q1'"),
    ],
)
def test_what_cannot_be_compared(results: list[Result], options: dict[str, Any], message: str) -> None:
    """Unknown names and different queries are errors that say so."""
    with pytest.raises(ConfigError, match=message):
        compare(results, **{"measure": "nDCG@10", "baseline": "a", **options})


def test_many_queries_stay_in_memory() -> None:
    """Ten thousand queries are compared in parts."""
    values = np.random.default_rng(0).normal(0.01, 0.3, 10_000)
    assert 0 < sign_flip_test(values) < 0.1
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
