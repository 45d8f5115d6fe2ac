"""Hosts with several runs: the spread is that of textbooks, and the promised rates hold for fleets that are drawn."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from fencepost.analysis.stats import hosts
from fencepost.analysis.stats.hosts import apart, host_values, spread_of

Values = npt.NDArray[np.float64]
SIGMA = 0.01


def fleet(seed: int, count: int = 50, runs: int = 5, cases: int = 20) -> Values:
    generator = np.random.default_rng(seed)
    found: Values = SIGMA * generator.standard_normal((count, 1, cases))
    return found + SIGMA * generator.standard_normal((count, runs, cases))


@pytest.fixture
def fewer_fleets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "FLEETS", hosts.FEWEST_FLEETS)


def test_the_spread_is_that_of_an_analysis_of_variance() -> None:
    from scipy import stats  # imported by few: it takes a second

    values = fleet(1, count=8, runs=4, cases=3)
    found = spread_of(values)
    for case in range(3):
        right = stats.f_oneway(*values[:, :, case])
        assert math.isclose(found.p[case], right.pvalue)
        within = values[:, :, case].var(1, ddof=1).mean()
        assert math.isclose(found.within[case], math.sqrt(within))
        between = values[:, :, case].mean(1).var(ddof=1) - within / 4
        assert math.isclose(found.between[case], math.sqrt(max(between, 0)), abs_tol=1e-12)


def test_hosts_may_have_different_numbers_of_runs() -> None:
    from scipy import stats  # imported by few: it takes a second

    values = fleet(2, count=6, runs=4, cases=1)
    values[0, 1:] = np.nan
    values[1, 3:] = np.nan
    found = spread_of(values)
    right = stats.f_oneway(*(own[np.isfinite(own)] for own in values[1:, :, 0]))
    squares = [((own - np.nanmean(own)) ** 2)[np.isfinite(own)].sum() for own in values[1:, :, 0]]
    assert math.isclose(found.within[0], math.sqrt(sum(squares) / (2 + 4 * 3)))
    assert 0 < found.p[0] <= 1 and 0 < right.pvalue <= 1
    single = spread_of(values[:, :1])
    assert math.isnan(single.within[0]) and math.isnan(single.between[0])


@pytest.mark.slow
def test_the_interval_of_the_spread_covers_it() -> None:
    for count, runs in ((4, 2), (6, 3), (20, 5)):
        found = spread_of(fleet(3, count, runs, cases=4000))
        inside = float(np.mean((found.low <= SIGMA) & (found.high >= SIGMA)))
        assert inside >= 0.945, (count, runs, inside)


def test_one_bad_run_does_not_move_a_host() -> None:
    values = fleet(4, count=3, runs=3, cases=2)
    right = np.sort(values, axis=1)[:, 1]
    assert np.array_equal(host_values(values), right)
    values[0, 0] += 9
    assert abs(host_values(values)[0] - right[0]).max() < 0.1
    absent = values.copy()
    absent[1, :, 0] = np.nan
    assert np.isnan(host_values(absent)[1, 0]) and np.isfinite(host_values(absent)).sum() == 5


@pytest.mark.usefixtures("fewer_fleets")
def test_a_planted_slow_host_among_twenty_is_found_and_none_of_the_others() -> None:
    values = host_values(fleet(5, count=20))
    assert apart(values) == []
    values[7, :10] += math.log(1.06)
    (found,) = apart(values)
    assert (found.host, found.slower) == (7, True)
    values[7] -= math.log(1.1)
    (found,) = apart(values)
    assert (found.host, found.slower) == (7, False)


@pytest.mark.usefixtures("fewer_fleets")
def test_absent_values_and_equal_values_name_nobody() -> None:
    values = host_values(fleet(6, count=12))
    values[3, ::2] = np.nan
    assert apart(values) == []
    assert apart(np.zeros((12, 4))) == []
    assert apart(values[:5]) == []
    assert apart(values[:, :0]) == []


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_fleets")
def test_the_rates_of_a_fleet_of_fifty() -> None:
    wrong = found = 0
    fleets = 60
    for seed in range(fleets):
        values = fleet(100 + seed)
        wrong += bool(apart(host_values(values)))
        hit = np.random.default_rng(seed).choice(20, 10, replace=False)
        values[0, :, hit] += math.log(1.03)
        found += {one.host for one in apart(host_values(values))} == {0}
    # Four would come of a rate of 1 % in 1 of 300 tries.
    assert wrong <= 3
    assert found >= 0.9 * fleets
