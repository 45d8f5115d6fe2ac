"""schedule/wakeup, schedule/range and schedule/realtime: what each says, and the faults that their checks find."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from topics.schedule.left import manners

WAKEUP, RANGE, REALTIME, WAKEUPS = "schedule/wakeup.c", "schedule/range.c", "schedule/realtime.c", "wakeups.h"
POLICIES = ["other", "other_slack1", "batch", "idle", "minus20", "fifo", "rr", "deadline", "deadline_early"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("beside", ["nobody", "spinner"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_sleeper_wakes(engine: Engine, policy: str, beside: str) -> None:
    before = manners()
    measured = measure(engine, "schedule/wakeup", {"policy": policy, "beside": beside})
    assert manners() == before
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 3 and measured.metrics["missed"] >= 0


def test_who_wakes_between_deadline_and_next_period_is_held_back(engine: Engine) -> None:
    measured = measure(engine, "schedule/wakeup", {"policy": "deadline_early"}, batches=30)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    # Half of each period comes after its deadline: some of ten wake-ups fall there, and the next ones pass meanwhile.
    assert measured.metrics["missed"] > 0


@pytest.mark.parametrize("period_us", [9, 1_000_001])
def test_other_periods_are_refused(engine: Engine, period_us: int) -> None:
    measured = measure(engine, "schedule/wakeup", {"period_us": period_us})
    assert measured.status == EINVAL
    assert f"period_us={period_us} is not 10 to 1000000" in measured.reason


@pytest.mark.parametrize(
    ("file", "whole", "broken", "status", "said"),
    [
        (WAKEUPS, "wakeups->deadline_ns % 1000000000", "0", EILSEQ, "came before their deadline"),
        (WAKEUP, "if (has_cpu_quota())", "if (1)", ENOTSUP, "a control group without a quota"),
    ],
    ids=["early", "quota"],
)
def test_a_planted_fault_of_a_sleeper_is_found(
    tmp_path: Path, file: str, whole: str, broken: str, status: int, said: str
) -> None:
    measured = measure(
        compile_broken(tmp_path, {WAKEUP: [], file: [(whole, broken)]}), "schedule/wakeup", {"policy": "other"}
    )
    assert measured.status == status
    assert said in measured.reason


def test_ranges(engine: Engine) -> None:
    before = manners()
    measured = measure(engine, "schedule/range")
    assert manners() == before
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert [count.found for count in measured.outcome.count[0:4]] == [-20, 19, 1, 99]


def test_a_planted_fault_of_a_range_is_found(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {RANGE: [("nice_after(-BEYOND)", "nice_after(-3)")]})
    measured = measure(faulty, "schedule/range")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "count nice_least: -3 nice instead of -20" in measured.reason


@pytest.mark.parametrize("tasks", [1, 4, 16])
@pytest.mark.parametrize("use", [50, 100, 102])
def test_simulation_and_exact_test_agree(engine: Engine, use: int, tasks: int) -> None:
    measured = measure(engine, "schedule/realtime", {"utilisation_pct": use, "tasks": tasks})
    assert measured.status == 0, measured.reason
    missed = [measured.metrics[f"{rule}_missed_pct"] for rule in ("edf", "rms")]
    if use == 50:
        assert missed == [0, 0]
    elif use == 102:
        assert missed == [100, 100]
    else:
        assert missed[0] == 0 and (missed[1] > 0) == (tasks > 1)


@pytest.mark.parametrize(
    "values", [{"utilisation_pct": 0}, {"utilisation_pct": 201}, {"tasks": 0}, {"tasks": 17}], ids=str
)
def test_impossible_sets_are_refused(engine: Engine, values: dict[str, str | int]) -> None:
    measured = measure(engine, "schedule/realtime", values)
    assert measured.status == EINVAL
    assert "utilisation_pct=" in measured.reason and "tasks=" in measured.reason


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("a->deadline < b->deadline", "a->deadline > b->deadline", "count edf_differs"),
        ("a->period < b->period", "a->period > b->period", "count rms_differs"),
        ("return demand <= HYPERPERIOD;", "return demand < HYPERPERIOD / 2;", "count edf_differs"),
        ("tasks[j].period < tasks[i].period ||", "0 ||", "count rms_differs"),
    ],
    ids=["latest first", "longest first", "another limit", "no interference"],
)
def test_a_planted_fault_of_a_rule_is_found(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {REALTIME: [(whole, broken)]})
    measured = measure(faulty, "schedule/realtime", {"utilisation_pct": 95})
    assert measured.status == EILSEQ
    assert said in measured.reason
