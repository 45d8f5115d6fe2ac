"""The rank-sum test and its bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencepost.analysis.stats.shift import Shift, fewest_values

SIZES = st.integers(1, 25)


def shift_of(seed: int, n: int, m: int, apart: float = 0.3, step: float = 0.0) -> tuple[np.ndarray, np.ndarray, Shift]:
    generator = np.random.default_rng(seed)
    old, new = generator.normal(0, 1, n), generator.normal(apart, 2, m)
    return old, new, Shift(old, new, np.full(n, step), np.full(m, step))


@given(st.integers(0, 2**32 - 1), SIZES, SIZES, st.floats(0, 1))
def test_the_error_is_that_of_mann_and_whitney(seed: int, n: int, m: int, limit: float) -> None:
    old, new, shift = shift_of(seed, n, m)
    # Not above: each process of the tests imports all files, and this takes a second.
    from scipy.stats import mannwhitneyu

    above = mannwhitneyu(new - limit, old, alternative="greater", method="exact").pvalue
    below = mannwhitneyu(new + limit, old, alternative="less", method="exact").pvalue
    assert shift.p_beyond(limit) == pytest.approx(min(above, below), rel=1e-9)


@given(st.integers(0, 2**32 - 1), SIZES, SIZES, st.floats(1e-6, 0.3), st.floats(0, 0.5), st.floats(0, 0.1))
def test_bounds_and_errors_agree(seed: int, n: int, m: int, error: float, limit: float, step: float) -> None:
    *_, shift = shift_of(seed, n, m, step=step)
    low, high = shift.bounds(error)
    assert low <= shift.middle <= high
    assert (low > limit or high < -limit) == (shift.p_beyond(limit) <= error)


@given(st.integers(0, 2**32 - 1), SIZES, SIZES, st.floats(1e-4, 0.3))
def test_two_samples_changed_round_have_the_opposite_shift(seed: int, n: int, m: int, error: float) -> None:
    old, new, shift = shift_of(seed, n, m)
    back = Shift(new, old, np.zeros(m), np.zeros(n))
    low, high = shift.bounds(error)
    assert back.bounds(error) == pytest.approx((-high, -low))
    assert back.middle == pytest.approx(-shift.middle)


def test_steps_widen_either_bound() -> None:
    *_, fine = shift_of(1, 12, 14)
    *_, coarse = shift_of(1, 12, 14, step=0.05)
    (low, high), (lower, higher) = fine.bounds(0.01), coarse.bounds(0.01)
    assert (lower, higher) == pytest.approx((low - 0.1, high + 0.1))


def test_too_few_values_decide_nothing() -> None:
    for error in (0.01, 5e-5):
        least = fewest_values(error)
        assert 1 / math.comb(2 * least, least) <= error < 1 / math.comb(2 * least - 2, least - 1)
        for count, bounded in ((least, True), (least - 1, False)):
            *_, shift = shift_of(1, count, count)
            assert math.isfinite(shift.bounds(error)[0]) is bounded


def test_many_values_are_as_good_as_normal() -> None:
    old, new, shift = shift_of(2, 120, 110, apart=0.8)
    from scipy.stats import mannwhitneyu

    expected = mannwhitneyu(new, old, alternative="greater", method="asymptotic").pvalue
    assert shift.p_beyond(0.0) == pytest.approx(expected, rel=1e-6)
    low, high = shift.bounds(0.01)
    assert low < 0.8 < high


def test_equal_distributions_are_called_shifted_as_often_as_allowed() -> None:
    """Two modes, as processes have: the shape does not matter where nothing has changed."""
    generator = np.random.default_rng(3)
    alarms = 0
    for _ in range(2000):
        samples = [generator.choice([1.0, 1.5], size) + generator.exponential(0.02, size) for size in (11, 13)]
        shift = Shift(samples[0], samples[1], np.zeros(11), np.zeros(13))
        alarms += shift.p_beyond(0.0) <= 0.01
    assert alarms <= 2000 * 0.02 * 1.4  # either side errs in 1 % at most
