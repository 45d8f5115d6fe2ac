"""interrupt/cause: gaps with the causes that Linux wrote down, and nothing left of how they were had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

CAUSE, TRACEPOINTS, OTHER = "interrupt/cause.c", "tracepoints.h", "other_process.h"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


def test_each_gap_has_one_cause_at_most(engine: Engine) -> None:
    measured = measure(engine, "interrupt/cause")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    each = [measured.metrics[f"{name}_pct"] for name in ("switch", "timer", "interrupt", "softirq")]
    if measured.metrics["gaps_per_s"]:
        assert sum(each) == pytest.approx(measured.metrics["named_pct"])
        assert 0 <= measured.metrics["named_pct"] <= 100


KNOWN = """
    struct causes *causes = calloc(1, sizeof *causes);
    const double us = 1e-6 * process_hz();

    trial.tick_hz = process_hz();
    trial.kernel = &kernel_cause;
    trial.state = causes;
    causes->looked_ticks = (uint64_t)(0.1 * process_hz());
    /* Gaps at 1, 2, 3, 4 and 5 ms, each of 10 us but the last, of 60. */
    for (int i = 0; i < 5; i++)
        causes->gap[causes->gaps++] =
            (struct gap){(uint64_t)((i + 1) * 1e3 * us), (uint64_t)(((i + 1) * 1e3 + (i == 4 ? 60 : 10)) * us)};
    /* The first has a timer's interrupt and a switch, the second a softirq, the third an interrupt. The last
       event is in none. */
    causes->event[causes->events++] = (struct event){1001 * us, TIMER};
    causes->event[causes->events++] = (struct event){1005 * us, SWITCH};
    causes->event[causes->events++] = (struct event){2001 * us, SOFTIRQ};
    causes->event[causes->events++] = (struct event){3010.2 * us, INTERRUPT};
    causes->event[causes->events++] = (struct event){2500 * us, TIMER};
    check(&trial);
    for (int i = 0; i <= FOUND_PCT; i++)
        printf("%.1f\\n", trial.metric[i]);
"""
HZ = """
#include "kernel.h"
static double process_hz(void) { struct clock_facts facts; clock_measure(&facts); return facts.tick_hz; }
"""


def test_causes_are_told_apart(tmp_path: Path) -> None:
    found = [float(line) for line in program(tmp_path, CAUSE, KNOWN, HZ)]
    gaps, lost, named, named_time, switch, timer, interrupt, softirq, chance, in_gaps = found
    assert gaps == 50.0
    assert lost == pytest.approx(0.1)
    # By weight: the gap with a switch is no timer's.
    assert (named, switch, timer, interrupt, softirq) == (60.0, 20.0, 0.0, 20.0, 20.0)
    assert named_time == pytest.approx(30.0)
    # A millisecond later the first three causes fall into the gaps behind their own.
    assert chance == 60.0
    # Of three interrupts one is in no gap.
    assert in_gaps == pytest.approx(66.7)


@pytest.mark.parametrize(
    ("file", "whole", "broken", "said"),
    [
        (CAUSE, "WINDOW_MS / 1e3);", "WINDOW_MS / 1e6);", "a look of"),
        (CAUSE, "if (record.header.size == 0 || head > bytes)", "if (1)", "count missing"),
    ],
)
def test_a_look_that_is_not_whole_fails(tmp_path: Path, file: str, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {file: [(whole, broken)]}), "interrupt/cause")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    if measured.status == 0 and said == "count missing":
        pytest.skip("no event came")
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


MOUNTED = ('if (access(TRACEFS "/events", R_OK | X_OK) == 0)', "if (0)")


@pytest.mark.parametrize(
    ("faults", "need"),
    [
        ({CAUSE: [], TRACEPOINTS: [MOUNTED, ("if (unshare(CLONE_NEWNS)", "if (1")]}, "permission to mount tracefs"),
        ({CAUSE: [], TRACEPOINTS: [MOUNTED, ("access(TRACEFS, F_OK)", "1")]}, "a Linux with tracefs"),
        (
            {CAUSE: [], TRACEPOINTS: [MOUNTED], OTHER: [("other = fork();", "other = (errno = EAGAIN, -1);")]},
            "permission for one more",
        ),
        (
            {CAUSE: [("return file < 0 ? -errno : (int)file;", "close((int)file); return -EACCES;")]},
            "permission to count",
        ),
    ],
)
def test_where_tracefs_cannot_be_had_the_row_says_why(
    tmp_path: Path, faults: dict[str, list[tuple[str, str]]], need: str
) -> None:
    measured = measure(compile_broken(tmp_path, faults), "interrupt/cause")
    if measured.status == ENOTSUP and "mount tracefs" in measured.reason:
        need = "permission to mount tracefs"
    assert measured.status == ENOTSUP, measured.reason
    assert measured.reason.startswith(f"needs {need}")
