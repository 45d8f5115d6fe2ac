"""memory/map: a turn that does less than it says is found out, and impossible sizes are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

MAP, CALLS = "memory/map.c", "memory/calls.h"
FAULTED = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("size", ["4KiB", "1GiB"])
@pytest.mark.parametrize(("call", "faults"), [("untouched", 0), ("touched", 64), ("mprotect", None), ("dontneed", 64)])
def test_a_turn_has_its_faults(engine: Engine, call: str, faults: int | None, size: str) -> None:
    measured = measure(engine, "memory/map", {"call": call, "size": size})
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found in ((0, 64) if faults is None else (faults,))
    assert measured.metrics["resident_kib"] < 1024
    # Addresses are no memory: a row of 1 GiB can be alone.
    assert measured.metrics["footprint_bytes"] == (0 if call == "untouched" else os.sysconf("SC_PAGESIZE"))
    assert not any(sample.flags & FAULTED for sample in measured.samples)


@pytest.mark.parametrize("size", ["0", "-4096", "4095", "2TiB", "8000000000GiB"])
def test_sizes_that_nobody_can_map_are_refused(engine: Engine, size: str) -> None:
    value = int(size) if size.lstrip("-").isdigit() else int(size[:-3]) << {"TiB": 40, "GiB": 30}[size[-3:]]
    measured = measure(engine, "memory/map", {"size": min(value, 2**63 - 1)})
    assert measured.status == EINVAL
    assert "is not a multiple of a page" in measured.reason


@pytest.mark.slow
@pytest.mark.parametrize(("size", "status"), [(4096, ENOTSUP), (20480, ENOTSUP), (16384, 0), (4095, EINVAL)])
def test_a_system_of_larger_pages_lacks_small_ones(size: int, status: int, tmp_path: Path) -> None:
    """As on Arm and POWER with pages of 16 or 64 KiB: the row is not measurable, and has not failed."""
    larger = compile_broken(tmp_path, {MAP: [("page = sysconf(_SC_PAGESIZE)", "page = 16384")]})
    measured = measure(larger, "memory/map", {"size": size})
    assert measured.status == status
    assert (measured.reason == "needs pages of 4 KiB or less") == (status == ENOTSUP)


def test_a_limit_of_address_space_is_a_need(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        MAP,
        """
    struct rlimit limit = {64 << 20, 64 << 20};
    int64_t values[] = {UNTOUCHED, 1 << 30};
    setrlimit(RLIMIT_AS, &limit);
    printf("%d\\n", trial_begin(&trial, &kernel_map, values, sizeof values));
    puts(trial.need ? trial.need : "nothing");
""",
    )
    assert lines == [str(ENOTSUP), "so much address space (ulimit -v, vm.overcommit_memory)"]


@pytest.mark.parametrize(
    ("call", "file", "whole", "broken", "said"),
    [
        # Pages that come with the mapping.
        ("untouched", CALLS, "MAP_NORESERVE, -1", "MAP_POPULATE, -1", "page 0 of a fresh mapping is in memory"),
        # A page that nobody writes to, and one that nobody gives up.
        ("touched", CALLS, "if (!failed && call != UNTOUCHED)", "if (!failed && call > TOUCHED)", "0 faults"),
        (
            "dontneed",
            CALLS,
            "failed = madvise(first, mapping->bytes, MADV_DONTNEED);",
            "failed = 0;",
            "0 faults instead",
        ),
        # A write where none belongs.
        ("untouched", CALLS, "call != UNTOUCHED)", "call >= 0)", "64 faults instead of 0"),
        ("mprotect", CALLS, "(volatile unsigned char *)first = 1;", "(volatile unsigned char *)first = 2;", "holds 2"),
        # A call that fails in the middle.
        (
            "mprotect",
            CALLS,
            "if (failed) {",
            "if (failed || mapping->turns == 3) {\n errno = EPERM;",
            "after 3 turns mprotect failed: Operation not permitted (errno 1)",
        ),
    ],
)
def test_a_turn_that_does_otherwise_fails(
    tmp_path: Path, call: str, file: str, whole: str, broken: str, said: str
) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "memory/map", {"call": call})
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_system_that_has_no_memory_for_its_tables_is_a_need(tmp_path: Path) -> None:
    """As under a limit that is reached meanwhile."""
    fault = ("if (failed) {", "if (failed || mapping->turns == 3) {\n errno = ENOMEM;")
    measured = measure(compile_broken(tmp_path, {CALLS: [fault]}), "memory/map", {"call": "mprotect"})
    assert measured.status == ENOTSUP
    assert measured.reason == "needs memory of the system for its tables: after 3 turns mprotect failed with ENOMEM"


def test_huge_pages_are_allowed_again_afterwards(engine: Engine) -> None:
    before = Path("/proc/self/status").read_text(encoding="utf-8").partition("THP_enabled:")[2][:3]
    measure(engine, "memory/map", {"call": "touched"})
    assert Path("/proc/self/status").read_text(encoding="utf-8").partition("THP_enabled:")[2][:3] == before
