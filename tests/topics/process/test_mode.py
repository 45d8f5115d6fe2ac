"""process/mode and process/smp: what user mode may not do, and what each CPU does by itself."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

MODE, SMP = "process/mode.c", "process/smp.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_instructions_of_the_kernel_end_in_a_signal(engine: Engine) -> None:
    before = signal.getsignal(signal.SIGSEGV)
    measured = measure(engine, "process/mode")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert [(count.found, count.expected) for count in measured.outcome.count[0:5]] == [(64, 64)] * 4 + [(0, 0)]
    assert measured.metrics["signals_per_attempt"] == 1
    assert signal.getsignal(signal.SIGSEGV) == before


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ('volatile("cli")', 'volatile("nop")', "count cli: 0 signals instead of 64"),
        ('volatile("nop")', 'volatile("hlt")', "count nop: 64 signals instead of 0"),
        ("ATTEMPT(attempts, run_once, instruction);", "attempts->made++;", "0 signals and 0 instructions without one"),
    ],
    ids=["let through", "refused", "not tried"],
)
def test_a_planted_fault_is_found(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {MODE: [(whole, broken)]}), "process/mode")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason


@pytest.mark.parametrize("work", ["call", "user"])
def test_two_cpus_work_at_once(engine: Engine, work: str) -> None:
    measured = measure(engine, "process/smp", {"work": work})
    assert measured.status == 0, measured.reason
    assert len(measured.samples) == 3
    assert measured.metrics["times_one"] > 0


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("syscall(SYS_getppid) >= 0", "syscall(SYS_getppid) < 0", "calls without an answer"),
        ("desk->company += before;", "", "0 calls by the other worker"),
    ],
    ids=["no answer", "alone"],
)
def test_a_planted_fault_of_two_cpus_is_found(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {SMP: [(whole, broken)]}), "process/smp")
    assert measured.status == EILSEQ
    assert said in measured.reason or "measuring failed" in measured.reason
