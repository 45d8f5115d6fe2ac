"""memory/shootdown: whoever should be on the other CPU is there, and what interrupts it is counted."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, EILSEQ, ENOTSUP, SHARING, built_engine, measure
from kernels.plant import compile_broken, expect_no_thread_more_than, threads
from kernels.program import program

SHOOTDOWN, CALLS = "memory/shootdown.c", "memory/calls.h"
pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("call", ["untouched", "touched", "mprotect", "dontneed"])
def test_interrupts_are_those_of_pages_that_were_there(engine: Engine, call: str) -> None:
    before = threads()
    measured = measure(engine, "memory/shootdown", {"call": call})
    assert measured.status == 0, measured.reason
    assert measured.outcome.events > 0
    expect_no_thread_more_than(before)
    found, control = measured.metrics["shootdowns_per_turn"], measured.metrics["control_shootdowns"]
    # Other processes have shootdowns too, and some systems broadcast.
    if platform.machine() == "x86_64" and found > 0 and call != "untouched":
        assert found > control


def test_one_cpu_is_a_need(engine: Engine) -> None:
    measured = measure(engine, "memory/shootdown", cpus=SHARING)
    assert (measured.status, measured.reason) == (ENOTSUP, "needs two CPUs")


@pytest.mark.parametrize(
    ("file", "whole", "broken", "said"),
    [
        # Nobody there beside the operation, and nobody beside the control.
        (SHOOTDOWN, "if (whose == THREAD)", "if (whose == LEAVE)", "nobody ran on CPU"),
        (SHOOTDOWN, "memory_order_relaxed) % 2 == 1)", "memory_order_relaxed) % 2 == 2)", "nobody ran on CPU"),
        # It was there at first and then went to sleep.
        (SHOOTDOWN, "return last == first ? -1", "return last != first ? -1", "nobody ran on CPU"),
        # Calls that fail, and calls that are not made.
        (
            CALLS,
            "if (failed) {",
            "if (failed || mapping->turns == 40) {\n errno = EPERM;",
            "madvise failed: Operation not",
        ),
        (CALLS, "mapping->turns++;", "mapping->turns += 2;", "turns of"),
    ],
)
def test_a_turn_beside_nobody_fails(tmp_path: Path, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "memory/shootdown", {"call": "dontneed"})
    assert said in measured.reason
    assert measured.status == EILSEQ


def test_the_column_of_a_cpu_is_found_by_its_name(tmp_path: Path) -> None:
    """Of a machine with more columns than fit into one piece, of which one CPU is offline."""
    cpus = [number for number in range(1000) if number != 3]
    lines = [
        "".join(f"{f'CPU{cpu}':>11}" for cpu in cpus),
        *(
            f"{name:>4}: " + "".join(f"{base + cpu:>10} " for cpu in cpus) + " words"
            for name, base in (("CAL", 0), ("TLB", 70000), ("TRM", 5))
        ),
    ]
    stated = tmp_path / "interrupts"
    stated.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "without").write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")
    before = f"""
#include <fcntl.h>
static const char *stated = "{stated}";
#define open(path, flags) open(stated, flags)
"""
    body = "".join(f'printf("%d\\n", (int)shootdowns_of({cpu}));' for cpu in (0, 2, 3, 4, 999, 1000))
    body += f'stated = "{tmp_path}/without"; printf("%d\\n", (int)shootdowns_of(0));'
    assert program(tmp_path, SHOOTDOWN, body, before) == ["70000", "70002", "-1", "70004", "70999", "-1", "-1"]
