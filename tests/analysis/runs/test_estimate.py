"""Estimates: intervals that cover, modes that do not cry wolf, and figures withheld where they would mislead."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.runs.estimate import Analysis, analyse, estimate_runs, pooled_quantiles
from fencepost.analysis.runs.model import Histogram
from fencepost.analysis.runs.row import COLUMNS
from fencepost.analysis.stats.interval import TooFewProcessesWarning, interval_of, interval_ranks, median_interval
from fencepost.analysis.stats.modes import Mode, find_modes, of_modes
from fencepost.bench import schema

Sample = Callable[[np.random.Generator, int], np.ndarray]

DISTRIBUTIONS: dict[str, Sample] = {
    "normal": lambda generator, n: 100 + 3 * generator.normal(size=n),
    "log-normal": lambda generator, n: 100 * np.exp(0.5 * generator.normal(size=n)),
    "heavy tail": lambda generator, n: 100 + 3 * generator.standard_t(3, size=n),
}


def one(*cases: Case, rounds: int = 20, **options: Any) -> Analysis:
    return analysed(cases, rounds=rounds, **options)


@pytest.mark.parametrize(
    ("n", "rank", "coverage"),
    [(5, 0, 0.0), (6, 1, 0.96875), (8, 1, 0.9921875), (9, 2, 0.9609375), (20, 6, 0.9586), (40, 14, 0.9615)],
)
def test_ranks_of_the_interval(n: int, rank: int, coverage: float) -> None:
    found, reached = interval_ranks(n)
    assert found == rank
    assert reached == pytest.approx(coverage, abs=1e-4)


def test_twenty_values_give_the_sixth_and_the_fifteenth() -> None:
    interval = median_interval(np.random.default_rng(1).permutation(np.arange(1, 21)))
    assert (interval.value, interval.low, interval.high, interval.n) == (10.5, 6, 15, 20)


def test_too_few_processes_give_no_bounds_and_a_typed_warning() -> None:
    with pytest.warns(TooFewProcessesWarning, match="5 processes give no 95%"):
        interval = median_interval([1, 2, 3, 4, 5])
    assert interval.value == 3
    assert math.isnan(interval.low) and math.isnan(interval.high)
    with pytest.warns(TooFewProcessesWarning):
        assert math.isnan(median_interval([]).value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=50))
def test_the_interval_holds_the_median_of_the_sample(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(float(np.median(values)), rel=1e-9, abs=1e-9)
    assert interval.coverage >= 0.95


@pytest.mark.parametrize("n", [6, 9, 20, 40])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_intervals_cover_the_true_median(name: str, n: int) -> None:
    generator = np.random.default_rng([n, len(name)])
    hits = 0
    for _ in range(2000):
        interval = median_interval(DISTRIBUTIONS[name](generator, n))
        hits += interval.low <= 100 <= interval.high
    assert hits / 2000 >= 0.93


@pytest.mark.parametrize("n", [6, 12, 20, 40])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_one_mode_is_rarely_called_several(name: str, n: int) -> None:
    generator = np.random.default_rng([n, len(name)])
    false = sum(bool(find_modes(DISTRIBUTIONS[name](generator, n))) for _ in range(1000))
    assert false / 1000 <= 0.02


@pytest.mark.parametrize("n", [12, 20, 40])
def test_two_clear_modes_are_found(n: int) -> None:
    generator = np.random.default_rng(n)
    found = 0
    for _ in range(200):
        values = np.where(np.arange(n) < n // 3, 100.0, 130.0) * (1 + 0.003 * generator.normal(size=n))
        found += [mode.processes for mode in find_modes(values)] == [n // 3, n - n // 3]
    assert found / 200 > 0.95


def test_three_clear_modes_are_found() -> None:
    values = np.concatenate([np.full(7, centre) for centre in (10.0, 20.0, 30.0)]) + np.linspace(0, 0.1, 21)
    modes = find_modes(values)
    assert [round(mode.ns) for mode in modes] == [10, 20, 30]
    assert sum(mode.share for mode in modes) == pytest.approx(1)


def test_neighbouring_steps_of_a_coarse_counter_are_no_modes() -> None:
    values = [10.0] * 9 + [20.0] * 11
    assert find_modes(values)
    assert not find_modes(values, resolution=10.0)


def test_modes_closer_than_two_per_cent_are_left_together() -> None:
    assert not find_modes([100.0] * 10 + [101.5] * 10)


def test_a_figure_between_two_modes_is_the_larger_mode_and_has_no_bounds() -> None:
    whole = interval_of(np.array([46.0] * 5 + [210.0] * 5))
    assert whole.value == 128
    even = (Mode(46.0, 5, 0.5), Mode(210.0, 5, 0.5))
    three = (Mode(46.0, 3, 0.3), Mode(60.0, 2, 0.2), Mode(210.0, 5, 0.5))
    found = of_modes(whole, even)
    assert found.value == 46 and not found.bounded
    assert of_modes(whole, three).value == 210
    assert of_modes(whole._replace(value=46.0), (Mode(46.0, 6, 0.6), Mode(210.0, 4, 0.4))).value == 46
    assert of_modes(whole, ()) == whole


def test_an_estimate_recovers_the_truth() -> None:
    row = one(Case("plain/loop", ns=25.0)).rows[0]
    assert row.time.low <= row.time.value <= row.time.high
    assert row.time.value == pytest.approx(25, rel=0.01)
    assert row.floor_ns < row.time.value
    assert row.cycles.value == pytest.approx(25 * synthetic.CORE_HZ / 1e9, rel=0.01)
    assert row.cycles.low <= row.cycles.value <= row.cycles.high
    assert (row.rounds, row.batches, row.flags, row.modes) == (20, 240, (), ())


def test_ticks_become_ns_by_the_rate_of_their_own_round() -> None:
    slow = one(Case("plain/loop", ns=25.0), tick_hz=24e6).rows[0]
    fast = one(Case("plain/loop", ns=25.0), tick_hz=5e9).rows[0]
    assert slow.time.value == pytest.approx(fast.time.value, rel=0.01)


def test_several_modes_have_no_pooled_interval() -> None:
    row = one(Case("lock/spin", ns=50, modes=((1.0, 0.5), (2.0, 0.5)))).rows[0]
    assert row.flags == ("modes",)
    assert math.isnan(row.time.low) and math.isnan(row.time.high) and math.isnan(row.cycles.low)
    assert [round(mode.ns / 50) for mode in row.modes] == [1, 2]
    assert sum(mode.processes for mode in row.modes) == 20


@pytest.mark.parametrize(
    ("ratio", "core", "flags"),
    [
        (3.0, 3e9, ()),
        (3.149, 3e9, ()),
        (3.2, 3e9, ("no_cycles",)),
        (None, 3e9, ("no_cycles",)),
        (3.0, None, ("no_cycles",)),
    ],
)
def test_cycles_only_where_the_chains_can_be_believed(
    ratio: float | None, core: float | None, flags: tuple[str, ...]
) -> None:
    row = one(Case("plain/loop", chain_ratio=ratio, core_hz=core)).rows[0]
    assert row.flags == flags
    assert math.isnan(row.cycles.value) == bool(flags)
    assert math.isfinite(row.time.value)


@pytest.mark.parametrize(
    ("case", "flag"),
    [
        (Case("plain/loop", gap_share=0.3), "noisy"),
        (Case("plain/loop", flags=schema.FLAGS["migrated"]), "migrated"),
        (Case("plain/loop", flags=schema.FLAGS["low_overlap"]), "low_overlap"),
        (Case("plain/loop", flags=schema.FLAGS["short"]), "short"),
    ],
)
def test_flags_of_batches_mark_the_row(case: Case, flag: str) -> None:
    assert flag in one(case).rows[0].flags


def test_short_windows_are_not_noise() -> None:
    row = one(Case("plain/loop", flags=schema.FLAGS["short"], gap_share=0.0)).rows[0]
    assert row.flags == ("short",)


def test_few_rounds_give_figures_without_interval() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = one(Case("plain/loop", ns=7), rounds=5).rows[0]
    assert row.flags == ("few_rounds",)
    assert row.time.value == pytest.approx(7, rel=0.02)
    assert math.isnan(row.time.low)


def test_a_case_measured_once_is_not_called_short_of_rounds() -> None:
    row = one(Case("clock/core_series", once=True)).rows[0]
    assert row.flags == ("once",)
    assert row.rounds == 1


def test_a_case_of_each_second_round_is_whole_with_half_of_the_rounds() -> None:
    row = one(Case("plain/dear", every=2)).rows[0]
    assert row.flags == ()
    assert row.rounds == 10
    assert row.time.value == pytest.approx(1, rel=0.02)


def test_a_failed_check_withholds_every_figure() -> None:
    analysis = one(Case("plain/bad", status="failed", reason="the sum is wrong"), Case("plain/loop"))
    bad = analysis.rows[0]
    assert bad.flags == ("failed",)
    assert bad.reason == "failed in 20 of 20 rounds: the sum is wrong"
    assert math.isnan(bad.time.value) and math.isnan(bad.cycles.value) and not bad.metrics


def test_what_cannot_be_measured_says_why() -> None:
    analysis = one(Case("plain/no", status="unsupported", reason="needs 4 CPUs, this machine has 2"))
    reasons = ["needs 4 CPUs, this machine has 2", synthetic.UNMEASURABLE[0]["reason"]]
    assert [row.reason for row in analysis.rows] == reasons
    assert [row.flags for row in analysis.rows] == [("not_measurable",)] * 2
    assert not analysis.measured()


def test_a_run_without_rounds() -> None:
    analysis = one(Case("plain/loop"), rounds=0, unmeasurable=[])
    assert analysis.rows[0].reason == "no complete round has this case"
    assert analysis.rounds == 0
    assert math.isnan(analysis.noise_floor_pct)


def test_metrics_get_the_same_interval_and_ticks_become_ns() -> None:
    case = Case("clock/offset", kind="events", metrics={"low_ticks": -250.0, "share_pct": 40.0})
    row = one(case).rows[0]
    ticks = row.metric("low_ticks")
    assert ticks.value == pytest.approx(-250, rel=0.01)
    assert row.ns_of("low_ticks").value == pytest.approx(-100, rel=0.01)
    assert ticks.low <= ticks.value <= ticks.high and ticks.n == 20
    assert row.metrics["share_pct"].unit == "pct"
    assert not row.ns_of("share_pct").known and not row.metric("no_such").known


def test_pooled_quantiles_by_hand() -> None:
    histogram = Histogram(np.array([10, 20, 30]), np.array([50, 49, 1]), 1e9)
    found = pooled_quantiles(histogram)
    assert found == {"min": 10, "p50": 10, "p90": 20, "p99": 20, "p99_9": 30, "max": 30, "distinct": 3, "events": 100}


@given(st.lists(st.integers(0, 200), min_size=1, max_size=300))
def test_pooled_quantiles_are_those_of_the_events(events: list[int]) -> None:
    ticks, count = np.unique(np.array(events), return_counts=True)
    found = pooled_quantiles(Histogram(ticks.astype(np.int64), count.astype(np.int64), 1e9))
    for name, share in {"p50": 0.5, "p90": 0.9, "p99": 0.99}.items():
        assert found[name] == pytest.approx(float(np.quantile(events, share, method="inverted_cdf")))
    assert (found["min"], found["max"], found["events"]) == (min(events), max(events), len(events))


def test_noise_floor_is_the_largest_effect_of_a_twin() -> None:
    quiet, loud = Case("plain/quiet", ns=10, process_noise=0.0), Case("plain/loud", ns=10, process_noise=0.0)
    shifted = Case("plain/loud", ns=10.5, process_noise=0.0, twin_of=loud.id)
    analysis = one(quiet, loud, quiet.twin(), shifted)
    assert analysis.noise_floor_pct == pytest.approx(5, abs=0.2)
    effects = {twin.original: twin.effect_pct for twin in analysis.twins}
    assert abs(effects[quiet.id].value) < 0.2
    assert effects[loud.id].low <= effects[loud.id].value <= effects[loud.id].high
    assert effects[loud.id].n == 20
    assert analysis.noise_reach_pct >= analysis.noise_floor_pct


def test_a_slower_round_leaves_the_noise_floor_alone() -> None:
    case = Case("plain/loop", ns=10, process_noise=0.0)
    factor = np.where(np.arange(20) % 2, 1.0, 1.5)
    assert one(case, case.twin(), process_factor=factor).noise_floor_pct < 0.3


def test_twins_at_zero_have_no_ratio() -> None:
    case = Case("clock/empty", ns=0.0)
    analysis = one(case, case.twin())
    assert math.isnan(analysis.noise_floor_pct) or analysis.twins[0].effect_pct.n < 20


def test_a_frame_has_a_column_for_each_of_a_row() -> None:
    analysis = one(Case("plain/loop", ns=25.0), Case("plain/no", status="unsupported", reason="needs more"))
    frame = analysis.as_frame()
    assert tuple(frame.columns) == tuple(COLUMNS)
    row = analysis.rows[0]
    assert frame["ns"].iloc[0] == row.time.value and frame["ns_low"].iloc[0] == row.time.low
    assert frame["reason"].iloc[0] is None and frame["reason"].iloc[1] == "needs more"
    assert np.isnan(frame["coverage"].iloc[1]) and frame["coverage"].iloc[0] == row.time.coverage


def test_a_row_answers_by_name() -> None:
    row = one(Case("memory/chase", parameters={"size": 4096, "pages": "huge"})).rows[0]
    assert (row.parameter("size"), row.parameter("pages"), row.parameter("no")) == ("4096", "huge", None)
    assert row.number("size") == 4096 and math.isnan(row.number("pages")) and math.isnan(row.number("no"))
    assert row.has(size=4096, pages="huge") and not row.has(size=4096, pages="4k")
    assert row.single and row.topic == "memory"


def test_many_runs_reduce_to_their_estimates(tmp_path: Path) -> None:
    folders = [synthetic.write_run(tmp_path / f"run{i}", synthetic.plain_cases(3), rounds=6, seed=i) for i in range(3)]
    together = estimate_runs(folders, processes=2)
    assert together.groupby("run", observed=True).size().tolist() == [4, 4, 4]
    alone = analyse(folders[1]).as_frame()
    mine = together[together["run"] == "run1"]
    np.testing.assert_array_equal(mine["ns"].to_numpy(), alone["ns"].to_numpy(float))
