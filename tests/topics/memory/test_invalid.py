"""memory/invalid: every forbidden access brings one signal, and the handler is gone afterwards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, built_engine, measure
from kernels.plant import compile_broken

INVALID = "memory/invalid.c"
ATTEMPTS = "attempts.h"
FORBIDDEN = ["read_null", "write_null", "call_null", "write_text", "run_data", "read_kernel", "raise"]
SEGV_BIT = 1 << 10
"""Of signal 11 in the masks of /proc/self/status."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def handled() -> bool:
    """Whether this process handles SIGSEGV."""
    found = re.search(r"SigCgt:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return bool(int(found[1], 16) & SEGV_BIT)


@pytest.mark.parametrize("access", [*FORBIDDEN, "allowed"])
def test_each_access_ends_as_it_has_to(engine: Engine, access: str) -> None:
    before = handled()
    measured = measure(engine, "memory/invalid", {"access": access})
    assert measured.status == 0, measured.reason
    expected = int(access != "allowed")
    assert measured.metrics["signals_per_access"] == expected
    assert measured.outcome.count[0].found == 64 * expected
    assert handled() == before


@pytest.mark.parametrize(
    ("access", "file", "whole", "broken", "said"),
    [
        # Accesses that are let through.
        ("read_null", INVALID, "(void)*at;", "(void)at;", "0 signals instead of 64"),
        ("write_text", INVALID, "*at = *at;", "(void)*at;", "0 signals instead of 64"),
        ("run_data", INVALID, "function_at((uintptr_t)at)();", "nothing();", "0 signals instead of 64"),
        (
            "allowed",
            INVALID,
            "        allowed(accesses);",
            "        (void)*(volatile char *)accesses->attempts.address;",
            "instead of 0",
        ),
        # The signal of another address, and one that is counted twice.
        ("write_null", INVALID, "*at = 0;", "at[8] = 0;", "signals of another address"),
        ("raise", ATTEMPTS, "attempts->signals++;", "attempts->signals += 2;", "signals and 0 accesses without one"),
    ],
)
def test_an_access_that_ends_otherwise_fails(
    tmp_path: Path, access: str, file: str, whole: str, broken: str, said: str
) -> None:
    faulty = compile_broken(tmp_path, {INVALID: [], file: [(whole, broken)]})
    measured = measure(faulty, "memory/invalid", {"access": access})
    assert measured.status == EILSEQ
    assert said in measured.reason
