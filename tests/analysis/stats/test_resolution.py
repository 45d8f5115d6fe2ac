"""A counter that moves in steps: what its readings hide is in every bound, and in no verdict."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.compare.selfcheck import judge_repeats
from fencepost.analysis.compare.side_ratios import QUANTILE, RowRounds, read_rows
from fencepost.analysis.compare.sides import judge_rounds
from fencepost.analysis.runs import paired as derive
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.stats.interval import Interval, interval_of, quotient
from fencepost.analysis.stats.resolution import log_step
from fencepost.analysis.stats.verdict import ChangeVerdict, bounds_at, decide, p_changed, p_same
from fencepost.analysis.topics.crowds import slope
from fencepost.analysis.topics.fence.measures import costs
from fencepost.bench import schema

Floats = npt.NDArray[np.float64]

QUANTUM, TARGET = 26, 65_000
"""Ticks of a step and of a batch of 25 us, as on the guest that the intervals were first seen to be too narrow on."""
ROUNDS, BATCHES = 24, 12


def read(length: Floats, phase: Floats) -> Floats:
    """Windows of these lengths in ticks, read from a counter in steps, begun at this share of a step."""
    return np.floor(phase + length / QUANTUM) * QUANTUM


def side(rng: np.random.Generator, operation: float, rounds: int) -> tuple[list[float], list[float]]:
    """Per round the value of a side in ticks an operation, as `read_rows` makes it of batches, and its step. The only
    noise is a window now and then that is longer: operations take their time to 10 parts in a million.
    """
    operations = math.ceil(TARGET / operation)
    shape = (rounds, 2, BATCHES)
    length = operation * operations * (1 + np.abs(rng.normal(0, 1e-5, shape)))
    batches = read(length, rng.random(shape)) / operations
    values = np.quantile(batches, QUANTILE, axis=2).min(axis=1)
    return values.tolist(), [QUANTUM / operations] * rounds


def row(rng: np.random.Generator, operation: float, ratio: float, rounds: int, *, allowed: bool) -> RowRounds:
    old, new = side(rng, operation, rounds), side(rng, operation * ratio, rounds)
    none = [0.0] * rounds
    steps = (old[1], new[1]) if allowed else (none, none)
    return RowRounds("r", "u", "test/loop", ratio == 1, "a", "b", old[0], new[0], *steps, floor_ns=old[0])


# An operation of 100 multiplications and ones that fill half, or a quarter, of a batch.
@pytest.mark.parametrize("operation", [211.0, 211.3, 15_023.3, 35_900.7])
@pytest.mark.parametrize("ratio", [1.0, 1.02])
def test_intervals_hold_the_truth_though_readings_are_whole_steps(operation: float, ratio: float) -> None:
    repeats = 100
    blocks = [range(i, i + ROUNDS) for i in range(0, repeats * ROUNDS, ROUNDS)]
    covered = {}
    for allowed in (True, False):
        rng = np.random.default_rng([int(operation), int(ratio * 100)])
        rounds = row(rng, operation, ratio, repeats * ROUNDS, allowed=allowed)
        (checked,), *_ = judge_repeats([rounds], blocks, 0.01)
        covered[allowed] = checked.covered.count
        if allowed:
            assert checked.counter_step_pct == pytest.approx(200 * QUANTUM / TARGET, rel=0.35)
            assert checked.width_pct > 1.99 * checked.counter_step_pct
    assert covered[True] >= 93
    # The proof that the simulation is one: identical sides are off alike, others are not.
    assert ratio == 1 or covered[False] < 80


def derived(rng: np.random.Generator, operations: tuple[float, float, float], *, allowed: bool) -> list[Interval]:
    """What is derived from three rows of twenty processes: a difference, a ratio, the slope over 2, 4 and 8 threads."""
    sides = [side(rng, operation, 20) for operation in operations]
    ns, steps_ns = (np.array(part).T for part in zip(*sides, strict=True))
    table = Grid([], ns, np.full(ns.shape, math.nan), steps_ns * allowed)
    crowd: Any = SimpleNamespace(
        threads=np.array([2.0, 4.0, 8.0]), places=[0, 1, 2], rows=[SimpleNamespace(relation="smt")] * 3
    )
    return [table.difference(1, 0)[0], table.ratio(1, 0), slope(table, crowd)]


def test_derived_figures_hold_the_truth_though_readings_are_whole_steps() -> None:
    repeats = 100
    covered = {}
    for allowed in (True, False):
        rng, hits = np.random.default_rng(1), np.zeros(3)
        for _ in range(repeats):
            a, b, c = rng.uniform(15_000, 30_000), rng.uniform(15_000, 30_000), rng.uniform(15_000, 30_000)
            truth = (b - a, b / a, float(np.polyfit([2, 4, 8], [a, b, c], 1)[0]))
            found = derived(rng, (a, b, c), allowed=allowed)
            hits += [one.low <= value <= one.high for one, value in zip(found, truth, strict=True)]
        covered[allowed] = hits
    assert (covered[True] >= 95).all()
    assert (covered[False] < 80).all()


@given(
    st.lists(st.tuples(*[st.floats(1, 1e5)] * 2, *[st.floats(0, 0.9)] * 2), min_size=6, max_size=30),
    st.randoms(use_true_random=False),
)
def test_a_quotient_holds_whatever_lies_within_the_steps(
    readings: list[tuple[float, float, float, float]], source: object
) -> None:
    above, below, *steps_of = (np.array(part) for part in zip(*readings, strict=True))
    off = [step * np.array([source.uniform(-1, 1) for _ in readings]) for step in steps_of]  # type: ignore[attr-defined]
    exact = interval_of((above + off[0]) / (below + off[1]))
    found = quotient(above - 50, below, *steps_of)  # a difference may be less than nothing
    beside = interval_of((above - 50 + off[0]) / (below + off[1]))
    assert found.low <= beside.low + 1e-9 and beside.high <= found.high + 1e-9
    wide = quotient(above, below, *steps_of)
    assert wide.low <= exact.low + 1e-9 and exact.high <= wide.high + 1e-9


def test_a_quotient_by_what_may_be_nothing_has_no_bounds() -> None:
    found = quotient(np.full(20, 5.0), np.full(20, 0.1), np.zeros(20), np.full(20, 0.1))
    assert found.value == pytest.approx(50) and math.isnan(found.low) and math.isnan(found.high)


@given(
    st.lists(st.tuples(st.floats(10, 1e5), st.floats(0, 5)), min_size=6, max_size=40),
    st.randoms(use_true_random=False),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_bounds_hold_whatever_lies_within_the_steps(
    readings: list[tuple[float, float]], source: object, coverage: float
) -> None:
    values, step = (np.array(part) for part in zip(*readings, strict=True))
    truth = values + step * np.array([source.uniform(-1, 1) for _ in readings])  # type: ignore[attr-defined]
    found, exact = interval_of(values, coverage, steps=step), interval_of(truth, coverage)
    assert found.low <= exact.low and exact.high <= found.high
    assert found.value == interval_of(values, coverage).value
    logs = log_step(step, values)
    assert (np.abs(np.log(truth / values)) <= logs * (1 + 1e-9) + 1e-12).all()


def test_a_step_as_long_as_the_value_says_nothing() -> None:
    assert log_step([26.0, 26.0, math.nan], [26.0, 20.0, 5.0]).tolist()[:2] == [math.inf, math.inf]
    found = decide({"r": np.zeros(24)}, 0.3, steps={"r": np.full(24, math.inf)})["r"]
    assert found.verdict is ChangeVerdict.UNDECIDED and found.more is None
    assert found.reason == "the margin is below one step of the counter"
    assert math.isnan(found.low) and math.isnan(found.high)


logs_of_rounds = st.lists(st.floats(-0.05, 0.05), min_size=7, max_size=60)


@given(logs_of_rounds, st.floats(0, 0.02), st.floats(0, 0.02), st.floats(0.001, 0.05))
@settings(max_examples=60)
def test_a_coarser_counter_only_takes_verdicts_away(logs: list[float], fine: float, more: float, margin: float) -> None:
    sharp = decide({"r": logs}, margin, steps={"r": fine})["r"]
    blunt = decide({"r": logs}, margin, steps={"r": fine + more})["r"]
    assert blunt.verdict in (sharp.verdict, ChangeVerdict.UNDECIDED)
    assert blunt.ratio == sharp.ratio and blunt.step == pytest.approx(math.expm1(fine + more))


@given(logs_of_rounds, st.floats(0, 0.02), st.floats(0.001, 0.05), st.sampled_from([0.05, 0.01, 0.001]))
@settings(max_examples=60)
def test_p_values_and_bounds_are_one_rule(logs: list[float], step: float, limit: float, error: float) -> None:
    array = np.array(logs)
    low, high = bounds_at(array, error, step)
    assert (p_changed(array, limit, step) <= error) == (low > limit or high < -limit)
    assert (p_same(array, limit, step) <= error) == (-limit < low and high < limit)


@given(logs_of_rounds, st.floats(0.001, 0.02), st.floats(1, 3))
@settings(max_examples=60)
def test_within_a_margin_below_the_step_nothing_is_the_same(logs: list[float], margin: float, factor: float) -> None:
    step = math.log1p(margin) * factor
    found = decide({"r": logs}, margin, steps={"r": step})["r"]
    assert found.verdict is not ChangeVerdict.SAME
    quiet = decide({"r": np.array(logs) / 100}, margin, steps={"r": step})["r"]
    assert quiet.verdict is ChangeVerdict.UNDECIDED and quiet.more is None
    assert f"margin is below one step of the counter ({math.expm1(step) * 100:.2g} %)" in quiet.reason


def test_an_effect_that_the_step_may_carry_over_the_margin_wants_no_rounds() -> None:
    for effect in (0.0094, 0.0106):
        logs = np.full(24, math.log1p(effect))
        assert decide({"r": logs}, 0.01)["r"].verdict is not ChangeVerdict.UNDECIDED
        found = decide({"r": logs}, 0.01, steps={"r": 0.001})["r"]
        assert found.verdict is ChangeVerdict.UNDECIDED and found.more is None
        assert found.reason == "the effect lies within one step of the counter (0.1 %) of the margin"


def test_rounds_that_miss_a_side_have_no_step_either() -> None:
    both = {"r": np.array([0.03] * 10 + [math.nan] * 5)}
    found = decide(both, 0.01, steps={"r": np.array([0.001] * 10 + [math.nan] * 5)})["r"]
    assert found.verdict is ChangeVerdict.CHANGED and found.rounds == 10
    assert found.step == pytest.approx(math.expm1(0.001))


def test_a_comparison_judges_and_tells_with_its_steps() -> None:
    old, new, step = [100.0] * 24, [100.02] * 24, [0.05] * 24
    rows = [
        RowRounds(name, "u", "test/loop", "~" in name, "a", "b", old, new, step, step, floor_ns=old)
        for name in ("r", "r~twin")
    ]
    found = judge_rounds(rows, 0.0009)
    for one in (*found.rows, *found.twins):
        assert one.decision.verdict is ChangeVerdict.UNDECIDED and "one step of the counter" in one.decision.reason
        assert one.as_json()["counter_step_pct"] == pytest.approx(0.1, rel=0.01)
    assert judge_rounds(rows, 0.01).rows[0].decision.verdict is ChangeVerdict.SAME


# From the files.


def exact(**words: object) -> Case:
    return replace(Case("own/a", noise=0.0, process_noise=0.0, gap_share=0.0), **words)  # type: ignore[arg-type]


def test_the_step_of_a_side_is_that_of_its_batches(tmp_path: Path) -> None:
    cases = [exact(ns=40.0), exact(kernel="own/b", ns=10_000.0), exact(kernel="own/c", kind="events", ns=1000.0)]
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=7, quantum=100, unmeasurable=[])
    document = json.loads((folder / schema.RUN_FILE).read_text())
    for number, case in enumerate(document["plan"]["cases"]):
        case |= {"row": "slow:fast" if number < 2 else "events", "side": ("old", "new", "old")[number]}
    document["plan"]["cases"].append(document["plan"]["cases"][2] | {"side": "new"})
    (folder / schema.RUN_FILE).write_text(json.dumps(document))
    first, events = read_rows(folder)
    assert first.old_step_ns == pytest.approx([40 / 1250] * 7, rel=1e-4)  # 1250 operations in 50 us, steps of 40 ns
    assert first.new_step_ns == pytest.approx([40 / 5] * 7, rel=1e-4)
    assert first.steps == pytest.approx([2 * 40 / 50_000] * 7, rel=0.01)
    assert events.old_step_ns == pytest.approx([40.0] * 7, rel=1e-4)


@given(st.floats(5, 500), st.integers(2, 120))
@settings(max_examples=5, deadline=None)
def test_the_interval_of_a_time_is_no_narrower_than_a_step(
    tmp_path_factory: pytest.TempPathFactory, ns: float, quantum: int
) -> None:
    case = exact(ns=ns)
    folder = synthetic.write_run(
        tmp_path_factory.mktemp("run") / "r", [case, case.twin()], rounds=6, batches=3, quantum=quantum, unmeasurable=[]
    )
    analysis = analyse(folder)
    found = analysis.rows[0]
    # All six processes read the same, and the truth lies a part of a step away.
    assert found.time.low <= ns * (1 + 1e-5) and ns * (1 - 1e-5) <= found.time.high
    assert found.time.high - found.time.low >= 1.99 * found.resolution_ns
    cycles = ns * found.core_hz / 1e9
    assert found.cycles.low < cycles * 1.01 and cycles * 0.99 < found.cycles.high
    (twin,) = analysis.twins
    assert twin.effect_pct.low <= 0 <= twin.effect_pct.high
    assert twin.effect_pct.high >= 199 * found.resolution_ns / ns


def test_what_a_fence_adds_is_no_surer_than_its_two_rows() -> None:
    names = ("none", "mfence")
    cases = [
        exact(kernel="fence/cost", parameters={"fence": name, "context": "bare"}, ns=ns)
        for name, ns in zip(names, (40.0, 43.0), strict=True)
    ]
    analysis = analysed(cases, quantum=100, unmeasurable=[])
    rows = analysis.rows
    both = sum(row.resolution_ns for row in rows)
    (cost,) = costs(analysis).items.values()
    assert cost.ns.high - cost.ns.low >= 1.99 * both
    assert cost.ns.low <= 3.0 <= cost.ns.high
    assert cost.cycles.high - cost.cycles.low >= 1.9 * both * min(row.core_hz for row in rows) / 1e9
    ratio = derive.ratio(analysis, rows[1].case, rows[0].case)
    assert ratio.high - ratio.low >= 1.99 * both / 43


def test_events_are_shown_as_they_were_read(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [exact(kind="events", ns=1000.0)], quantum=100, unmeasurable=[])
    found = analyse(folder).rows[0]
    assert found.time.high - found.time.low < 0.01 * found.resolution_ns
