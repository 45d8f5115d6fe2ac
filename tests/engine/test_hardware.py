"""Hardware counters beside a case: by a stand-in for perf_event_open, and where there are some, by loops of known
counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from engine.build import Engine, compile_engine, compile_files

STANDIN = Path(__file__).with_name("counters.c")
OPTIONS = [f"-D{name}=standin_{name}" for name in ("syscall", "ioctl", "read", "close")]
VARIABLES = """
extern unsigned standin_refused, standin_silent;
extern int standin_shared, standin_open, standin_most_open, standin_loose, standin_kernel_mode;
extern unsigned long runs, runs_counted;
"""
FIRST, SECOND = [3.0, 9.0, 1.0], [2.0, 4.0, 5.0]
"""What the stand-in's kernels say of one operation, in both groups."""
NOTHING = [math.nan] * 3
Make = Callable[..., Engine]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """An engine whose counters are the stand-in's, with its variables set before anybody asks it."""

    def made(**variables: int) -> Engine:
        engine = compile_files(tmp_path, [STANDIN], VARIABLES, otherwise={"hardware.c": OPTIONS})
        for name, value in variables.items():
            setattr(engine.lib, f"standin_{name}", value)
        return engine

    return made


def counted(engine: Engine, turn: int, name: str = "counted/loop", threads: int = 1) -> list[float]:
    """What the hardware counted for one operation of a case, in the process of this turn."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < threads:
        pytest.skip("needs 2 CPUs")
    measured = engine.trial(name, cpus=cpus[:threads], counter_turn=turn)
    assert measured.status == 0, measured.reason
    assert engine.lib.standin_open == 0
    return list(measured.outcome.hardware)


def same(found: list[float], wanted: list[float]) -> bool:
    """Whether they are the same numbers, or none, place by place."""
    return found == pytest.approx(wanted, nan_ok=True)


def test_groups_take_turns_from_process_to_process(make: Make) -> None:
    engine = make()
    assert same(counted(engine, 1), FIRST + NOTHING)
    assert same(counted(engine, 2), NOTHING + SECOND)
    assert same(counted(engine, 3), FIRST + NOTHING)
    assert same(counted(engine, 0), NOTHING + NOTHING)
    assert engine.lib.standin_most_open == 3
    assert engine.lib.standin_loose == engine.lib.standin_kernel_mode == 0


@pytest.mark.parametrize(("name", "threads"), [("counted/loop", 2), ("counted/event", 1), ("counted/pair", 1)])
def test_every_kind_of_case_is_counted(make: Make, name: str, threads: int) -> None:
    assert same(counted(make(), 1, name, threads), FIRST + NOTHING)


@pytest.mark.parametrize(("name", "wanted"), [("counted/event", FIRST), ("counted/loop", NOTHING)])
def test_threads_that_take_turns_are_counted_by_event(make: Make, name: str, wanted: list[float]) -> None:
    engine = make()
    cpu = min(os.sched_getaffinity(0))
    measured = engine.trial(name, cpus=[cpu, cpu], counter_turn=1)
    assert measured.status == 0, measured.reason
    assert same(list(measured.outcome.hardware), wanted + NOTHING)


@pytest.mark.parametrize(("name", "windows"), [("counted/loop", 4), ("counted/event", 1)])
def test_nothing_is_counted_while_a_case_is_timed(make: Make, name: str, windows: int) -> None:
    engine = make()
    counted(engine, 1, name)
    assert engine.lib.runs_counted == windows
    assert engine.lib.runs >= windows + 2


def test_a_counter_that_does_not_open_is_left_out(make: Make) -> None:
    assert same(counted(make(refused=0b000001), 1), [math.nan, 9.0, 1.0, *NOTHING])


def test_without_counters_a_case_is_as_ever(make: Make) -> None:
    engine = make(refused=0b111111)
    assert same(counted(engine, 1), NOTHING + NOTHING)
    assert engine.lib.runs_counted == 0


def test_a_counter_that_reads_nothing_of_known_work_is_not_used(make: Make) -> None:
    assert same(counted(make(silent=0b000100), 1), [3.0, 9.0, math.nan, *NOTHING])


def test_counters_that_others_had_meanwhile_are_not_used(make: Make) -> None:
    engine = make()
    counted(engine, 1)
    engine.lib.standin_shared = 1
    # They were enabled for longer than they ran.
    assert same(counted(engine, 1), NOTHING + NOTHING)


def test_every_counter_has_a_name(make: Make) -> None:
    engine = make()
    names = [engine.ffi.string(engine.lib.hardware_counter_name(i)).decode() for i in range(6)]
    assert names == ["cycles", "instructions", "branch_misses", "l1_misses", "llc_misses", "dtlb_misses"]
    assert engine.lib.hardware_counter_name(6) == engine.ffi.NULL


KNOWN = """
#if defined(HAS_CHAINS)
static void run(struct worker *worker, uint64_t operations)
{
    uint64_t x = 1;

    (void)worker;
    for (uint64_t i = 0; i < operations; i++)
        __asm__ volatile(".rept 1000\\n\\t" ARCH_ADD ".endr" : "+r"(x));
}
static int check(struct trial *trial) { (void)trial; return 0; }
KERNEL(adds, .name = "known/adds", .summary = "s", .unit = "u", .threads = {1, 1}, .run = run, .check = check)
#endif
"""


def test_instructions_of_a_known_loop_are_counted(tmp_path: Path) -> None:
    engine = compile_engine(tmp_path, KNOWN)
    if not engine.lib.registry_count():
        pytest.skip("needs an architecture with chains of instructions")
    cycles, instructions, misses = engine.trial("known/adds", counter_turn=1).outcome.hardware[0:3]
    if math.isnan(instructions):
        pytest.skip("needs a hardware counter that opens and counts")
    # Of the loop itself there are some ten instructions without optimization.
    assert 1000 <= instructions <= 1020
    assert math.isnan(cycles) or cycles >= 100
    assert math.isnan(misses) or misses < 1
