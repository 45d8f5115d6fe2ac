"""Verdicts: what they claim, how often they are wrong, and how many rounds they ask for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencepost.analysis.stats.verdict import (
    REPORT_ERROR,
    ROW_ERROR,
    ChangeVerdict,
    Decision,
    bound_rank,
    decide,
    fewest_rounds,
    holm_errors,
)

MARGIN = 0.01
ratios = st.lists(st.floats(0.5, 2), min_size=1, max_size=80)


def one(logs: npt.ArrayLike, margin: float = MARGIN, noise_floor: float = 0.0) -> Decision:
    return decide({"row": logs}, margin, noise_floor={"row": noise_floor})["row"]


@given(st.integers(1, 300), st.sampled_from([0.05, 0.01, 0.0083, 0.0005, 1e-6]))
def test_a_bound_is_the_closest_that_keeps_its_error(n: int, error: float) -> None:
    from scipy import stats  # imported by few: it takes a second

    k = bound_rank(n, error)
    assert k == 0 or stats.binom.cdf(k - 1, n, 0.5) <= error
    assert stats.binom.cdf(k, n, 0.5) > error
    assert (k > 0) == (n >= fewest_rounds(error))


@given(ratios, st.floats(0.001, 0.3))
def test_swapping_the_sides_inverts_the_ratio_and_its_interval(values: list[float], margin: float) -> None:
    logs = np.log(values)
    there, back = one(logs, margin), one(-logs, margin)
    assert there.verdict is back.verdict and there.more == back.more
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.low == pytest.approx(1 / back.high, nan_ok=True)
    assert there.high == pytest.approx(1 / back.low, nan_ok=True)


@given(ratios, st.floats(0.001, 0.3))
def test_a_verdict_says_where_its_interval_lies(values: list[float], margin: float) -> None:
    found = one(np.log(values), margin)
    beyond = found.low > 1 + margin or found.high < 1 / (1 + margin)
    inside = found.low > 1 / (1 + margin) and found.high < 1 + margin
    assert (found.verdict is ChangeVerdict.CHANGED) == beyond
    assert (found.verdict is ChangeVerdict.SAME) == inside


@given(st.lists(st.floats(-0.005, 0.005), min_size=7, max_size=40), st.sampled_from([-1, 1]), st.floats(0.05, 1))
def test_an_effect_far_beyond_the_margin_is_never_the_same(noise: list[float], sign: int, effect: float) -> None:
    assert one(np.array(noise) + sign * effect).verdict is ChangeVerdict.CHANGED


@given(ratios)
def test_a_wider_margin_turns_no_same_into_changed(values: list[float]) -> None:
    logs = np.log(values)
    order = [ChangeVerdict.CHANGED, ChangeVerdict.UNDECIDED, ChangeVerdict.SAME]
    places = [order.index(one(logs, margin).verdict) for margin in (0.001, 0.01, 0.1, 0.5)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        # Holm 1979 at 5 %; the adjusted values are those of R's p.adjust(…, "holm").
        ([0.01, 0.04, 0.03, 0.005], [True, False, False, True]),  # 0.03 0.06 0.06 0.02
        ([0.0166, 0.0249, 0.049], [True, True, True]),  # 0.0498 0.0498 0.049
        ([0.017, 0.001, 0.001], [True, True, True]),
        ([0.03, 0.03, 0.0001], [False, False, True]),
        ([0.06], [False]),
    ],
)
def test_holm_rejects_what_the_textbook_rejects(p_values: list[float], rejected: list[bool]) -> None:
    errors = holm_errors(p_values, row=1.0, report=0.05)
    assert [p <= error for p, error in zip(p_values, errors, strict=True)] == rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_step_down(p_values: list[float]) -> None:
    order = np.argsort(p_values, kind="stable")
    adjusted = np.maximum.accumulate([min(1.0, p_values[i] * (len(order) - step)) for step, i in enumerate(order)])
    errors = holm_errors(p_values, row=1.0, report=0.05)
    for place, value in zip(order, adjusted, strict=True):
        if not math.isclose(value, 0.05):
            assert (p_values[place] <= errors[place]) == (value <= 0.05)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Rounds as a busy guest has them: mostly quiet, a fifth of them off by as much as a half, to either side."""
    values = rng.standard_t(2, shape) * 0.002
    return np.where(rng.random(shape) < 0.2, rng.uniform(-0.5, 0.5, shape), values)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Median 0, one tail."""
    return 0.02 * (rng.lognormal(0, 1.5, shape) - 1)


@pytest.mark.parametrize("noise", [heavy, skewed])
@pytest.mark.parametrize("effect", [0.0, math.log1p(MARGIN)])
def test_wrong_claims_are_as_rare_as_promised(
    noise: Callable[[np.random.Generator, tuple[int, ...]], npt.NDArray[np.float64]], effect: float
) -> None:
    from scipy import stats  # imported by few: it takes a second

    rng = np.random.default_rng(20261122)
    reports, rows = 250, 5
    wrong_rows = wrong_reports = 0
    for logs in noise(rng, (reports, rows, 24)) + effect:
        found = [item.verdict for item in decide(dict(enumerate(map(list, logs))), MARGIN).values()]  # type: ignore[arg-type]
        wrong_rows += found.count(ChangeVerdict.CHANGED)
        wrong_reports += ChangeVerdict.CHANGED in found
    # At the very edge of the margin half of the claims beyond it are right; the bound holds all the same.
    assert stats.binomtest(wrong_rows, reports * rows, ROW_ERROR, "greater").pvalue > 1e-3
    assert stats.binomtest(wrong_reports, reports, REPORT_ERROR, "greater").pvalue > 1e-3


def test_a_true_effect_is_found_through_the_noise() -> None:
    from scipy import stats  # imported by few: it takes a second

    rng = np.random.default_rng(7)
    # Twice the margin, and a tenth of the rounds anywhere.
    logs = math.log(1.02) + rng.standard_t(2, (300, 24)) * 0.001
    logs = np.where(rng.random(logs.shape) < 0.1, rng.uniform(-0.5, 0.5, logs.shape), logs)
    found = sum(one(row).verdict is ChangeVerdict.CHANGED for row in logs)
    assert stats.binomtest(found, 300).proportion_ci().low > 0.98


def test_more_rounds_are_as_many_as_decide() -> None:
    rng = np.random.default_rng(11)

    def rounds(n: int) -> npt.NDArray[np.float64]:
        return math.log(1.02) + rng.choice([0.0, -0.05], n, p=[0.7, 0.3])

    asked = one(np.r_[np.full(17, 0.02), np.full(7, -0.03)])
    assert asked.verdict is ChangeVerdict.UNDECIDED and asked.more is not None and 10 < asked.more < 200
    decided = sum(one(rounds(24 + asked.more)).verdict is ChangeVerdict.CHANGED for _ in range(100))
    assert decided > 60
    assert sum(one(rounds(24)).verdict is ChangeVerdict.CHANGED for _ in range(100)) < decided


def test_no_number_of_rounds_decides_an_effect_at_the_margin() -> None:
    found = one(math.log1p(MARGIN) + np.tile([-0.001, 0.001], 12))
    assert found.verdict is ChangeVerdict.UNDECIDED and found.more is None and found.reason


def test_below_the_noise_floor_nothing_is_claimed() -> None:
    logs = np.full(24, math.log(1.02))
    assert one(logs).verdict is ChangeVerdict.CHANGED
    assert one(logs, noise_floor=0.03).verdict is ChangeVerdict.UNDECIDED
    assert one(np.zeros(24)).verdict is ChangeVerdict.SAME
    assert one(np.zeros(24), noise_floor=0.03).verdict is ChangeVerdict.UNDECIDED


@pytest.mark.parametrize("n", range(7))
def test_few_rounds_decide_nothing(n: int) -> None:
    found = one(np.full(n, 0.5))
    assert found.verdict is ChangeVerdict.UNDECIDED and found.rounds == n


def test_many_rows_are_held_against_a_stricter_bound() -> None:
    logs = {str(i): np.full(7, 0.5 if i == 0 else 0.0) for i in range(100)}
    assert decide({"0": logs["0"]}, MARGIN)["0"].verdict is ChangeVerdict.CHANGED
    assert decide(logs, MARGIN)["0"].verdict is ChangeVerdict.UNDECIDED


def test_sameness_of_many_rows_is_a_family_too() -> None:
    logs = {str(i): np.zeros(7) for i in range(100)}
    assert decide({"0": logs["0"]}, MARGIN)["0"].verdict is ChangeVerdict.SAME
    assert {item.verdict for item in decide(logs, MARGIN).values()} == {ChangeVerdict.UNDECIDED}


@given(ratios, st.lists(st.integers(0, 79), max_size=10))
@settings(max_examples=30)
def test_rounds_that_failed_are_left_out(values: list[float], holes: list[int]) -> None:
    logs = list(np.log(values))
    with_holes = logs.copy()
    for hole in holes:
        with_holes.insert(min(hole, len(with_holes)), math.nan)
    assert one(logs) == one(with_holes)


def test_a_margin_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no inside"):
        decide({"row": [0.0]}, 0.0)
