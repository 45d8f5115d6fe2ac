"""kernel/call: each call answers as it has to, and enters Linux once or not at all."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

CALL = "kernel/call.c"
ENTERING = ["bad_raw", "bad_libc", "getppid_raw", "getppid_libc"]
SIGSYS_BIT = 1 << 30
"""Of signal 31 in the masks of /proc/self/status."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def handled() -> bool:
    """Whether this process handles SIGSYS."""
    found = re.search(r"SigCgt:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return bool(int(found[1], 16) & SIGSYS_BIT)


@pytest.mark.parametrize("call", ["empty", "vdso", *ENTERING, "exit"])
def test_a_call_enters_linux_once_or_not_at_all(engine: Engine, call: str) -> None:
    before = handled()
    measured = measure(engine, "kernel/call", {"call": call})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    entering = measured.metrics["entering_pct"]
    assert math.isnan(entering) or entering == 100 * (call in ENTERING)
    assert handled() == before


@pytest.mark.parametrize(
    ("call", "whole", "broken", "said"),
    [
        # Answers that are not those of the call.
        ("empty", "return number;\n}\n\nstatic inline int read", "return 0;\n}\n\nstatic inline int read", "answered"),
        ("vdso", "CLOCK_MONOTONIC_COARSE, &now)", "(clockid_t)99, &now)", "0 of"),
        ("getppid_raw", "calls->parent = getppid();", "calls->parent = getpid();", "0 of"),
        # Entries where none belongs, and none where one does.
        ("empty", "    OPAQUE(number);\n", "    syscall(SYS_getppid);\n", "100 % of calls entered"),
        ("vdso", "CLOCK_MONOTONIC_COARSE, &now)", "CLOCK_THREAD_CPUTIME_ID, &now)", "100 % of calls entered"),
        (
            "getppid_libc",
            "LOOP(getppid_libc, getppid() == parent)",
            "LOOP(getppid_libc, empty_function(parent) == parent)",
            "0 % of calls entered",
        ),
    ],
)
def test_a_call_that_does_otherwise_fails(
    engine: Engine, tmp_path: Path, call: str, whole: str, broken: str, said: str
) -> None:
    known = math.isfinite(measure(engine, "kernel/call").metrics["entering_pct"])
    measured = measure(compile_broken(tmp_path, {CALL: [(whole, broken)]}), "kernel/call", {"call": call})
    if "entered" in said and not known:
        pytest.skip("this system cannot send a signal in place of a system call")
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_filter_that_answers_first_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {CALL: [("LOOP(bad_raw, raw_call(NO_CALL) == -ENOSYS)", "LOOP(bad_raw, 0)")]})
    measured = measure(faulty, "kernel/call", {"call": "bad_raw"})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs Linux to answer a number that no call has")


def test_a_machine_without_a_hypervisor_has_no_exit(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {CALL: [("&& (ecx >> 31 & 1)", "&& (ecx >> 31 & 0)")]})
    measured = measure(faulty, "kernel/call", {"call": "exit"})
    assert measured.status == ENOTSUP
    assert "guest" in measured.reason


def test_where_the_system_cannot_tell_there_is_no_figure(tmp_path: Path) -> None:
    refused = [("prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0L, 0L, &dispatch)", "1")]
    measured = measure(compile_broken(tmp_path, {CALL: refused}), "kernel/call")
    assert measured.status == 0, measured.reason
    assert math.isnan(measured.metrics["entering_pct"])
