"""interrupt/rate: counts of Linux by CPU, and what the report says of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program
from runs.write import Case
from topics.analysed import analysed, verdict_of

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")

RATE = "interrupt/rate.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_interrupts_are_counted_and_nothing_stays_open(engine: Engine) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    measured = measure(engine, "interrupt/rate")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["all_per_s"] >= 0
    assert math.isfinite(measured.metrics["added_by_timer"])
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("syscall(SYS_getppid) <= 0;", "syscall(SYS_getppid) >= 0;", "system calls failed"),
        ("seen->calls++;", "break;", "system calls failed"),
        ("WINDOW_MS / 1e3);", "WINDOW_MS / 1e6);", "windows of"),
        ("rates->sound += after.all >=", "rates->sound += after.all + 1 <", "count windows"),
    ],
)
def test_windows_without_what_they_are_for_fail(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {RATE: [(whole, broken)]}), "interrupt/rate")
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


def test_no_counts_are_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(
        tmp_path, {RATE: [('(interrupts_of("/proc/interrupts", trial', '(interrupts_of("/none", trial')]}
    )
    assert measure(faulty, "interrupt/rate").status == ENOTSUP


def test_a_column_is_summed_by_the_name_of_its_cpu(tmp_path: Path) -> None:
    stated = tmp_path / "interrupts"
    stated.write_text(
        "           CPU0       CPU2\n  1:         10         20   APIC   1-edge\nLOC:        100        200   Local\n"
        "ERR:          7\n",
        encoding="utf-8",
    )
    body = "".join(
        f'{{ const struct interrupts found = interrupts_of("{path}", {cpu}, "LOC:"); '
        f'printf("%d %d\\n", (int)found.named, (int)found.all); }}'
        for path, cpu in ((stated, 0), (stated, 2), (stated, 1), (tmp_path / "none", 0))
    )
    assert program(tmp_path, "interrupts.h", body, '#include "kernel.h"') == ["100 117", "200 220", "-1 -1", "-1 -1"]


def rate_case(added_per_call: float = 0.0, added_by_timer: float = 1000.0) -> Case:
    """interrupt/rate with HZ=250."""
    metrics = {
        "timer_per_s": 250.0,
        "all_per_s": 252.0,
        "softirqs_per_s": 40.0,
        "added_by_calls": 0.0,
        "added_per_call": added_per_call,
        "added_by_timer": added_by_timer,
        "gaps_per_s": 1620.0,
        "explained_pct": 15.6,
    }
    return Case("interrupt/rate", unit="turn", kind="counts", metrics=metrics, metric_noise=0.0)


@pytest.mark.parametrize(
    ("call", "timer", "outcome"),
    [
        (0.0, 1000.0, Outcome.CONFIRMED),
        (0.0, 20.0, Outcome.UNDECIDED),  # the control is not seen
        (0.1, 1000.0, Outcome.DEPENDS),
        (1.0, 1000.0, Outcome.REFUTED),
    ],
)
def test_a_system_call_is_no_interrupt(call: float, timer: float, outcome: Outcome) -> None:
    found = analysed([rate_case(call, timer)], rounds=6)
    assert verdict_of(found, "interrupt/software").outcome is outcome
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "interrupt-rate"
    assert len(figure.table.rows) == 6
    assert "15.60" in figure.description
