"""The topic schedule in the report."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, told_of, verdict_of
from topics.schedule.cases import (
    balance_cases,
    clock_cases,
    migrate_cases,
    preempt_cases,
    realtime_cases,
    share_cases,
    wakeup_cases,
)

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def found() -> Analysis:
    cases = [*share_cases(), *clock_cases(), *wakeup_cases(), *realtime_cases()]
    cases += [*preempt_cases(), *migrate_cases(), *balance_cases()]
    return analysed(cases, rounds=6)


def test_each_kernel_has_a_picture(found: Analysis) -> None:
    figures = told_of(found)
    assert list(figures) == [
        f"schedule-{name}"
        for name in ("share", "virtual-clock", "wakeup", "preempt", "migrate", "rebalance", "realtime")
    ]
    assert [row[0] for row in figures["schedule-share"].table.rows][-1] == "first SCHED_FIFO"
    late = figures["schedule-wakeup"].table
    assert [row[1] for row in late.rows] == ["on an idle CPU"] * 4 + ["beside a spinner"] * 4
    assert late.header[-3:] == ("p50", "p99", "p99.9")


@pytest.mark.parametrize(
    "claim",
    ["nice", "virtual_clock", "boost", "deadline", "edf", "rms", "taskset", "rebalance", "preemption", "long_calls"],
)
def test_what_is_so_is_confirmed(found: Analysis, claim: str) -> None:
    said = verdict_of(found, f"schedule/{claim}")
    assert said.outcome is Outcome.CONFIRMED, said


def test_a_pair_alike_is_the_control() -> None:
    cases = [case for case in share_cases() if case.parameters["pair"] != "equal"]
    assert verdict_of(analysed(cases, rounds=6), "schedule/nice").outcome is Outcome.NOT_MEASURABLE
