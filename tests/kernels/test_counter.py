"""counter/*: every increment is found again, or the check says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kernels.disassembly import TOOLCHAINS, Toolchain, functions, loops
from kernels.faults import ALONE, TEAMS, engine_of, metrics
from kernels.trial import UNSUPPORTED, kernel

KINDS = tuple(kernel("counter/increment").parameter("kind").labels)


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
def test_every_kind_counts_exactly_but_the_racy_one(cpus: list[int], tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "counter_increment.c")
    for kind, label in enumerate(KINDS):
        measured = engine.measure("counter/increment", (kind,), cpus)
        if label == "rseq" and measured.status == UNSUPPORTED:
            continue
        assert measured.status == 0, f"{label}: {measured.reason}"
        lost = metrics(engine, "counter/increment", measured.outcome)["lost_pct"]
        assert lost == 0 or (label == "racy" and 0 <= lost <= 100 and len(cpus) > 1)


@pytest.mark.parametrize(
    ("source", "name", "values", "old", "new"),
    [
        ("counter_increment.c", "counter/increment", (0,), "&counter->total, 1,", "&counter->total, 2,"),
        ("counter_increment.c", "counter/increment", (3,), "&counter->total, count + 1", "&counter->total, count + 2"),
        ("counter_sloppy.c", "counter/sloppy", (16,), "&sloppy->common, threshold", "&sloppy->common, threshold - 1"),
        ("counter_staleness.c", "counter/staleness", (10,), "collected = sum;", "collected = sum + (1ull << 40);"),
        ("counter_refcount.c", "counter/refcount", (0, 1), "TAKE_ONE == 1)", "ADD_ONE == 1)"),
    ],
)
def test_check_notices(source: str, name: str, values: tuple[int, ...], old: str, new: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path, source, (old, new))
    cpus = ALONE if engine.kernel(name).threads.min == 1 else TEAMS[1]
    measured = engine.measure(name, values, cpus)
    assert measured.status not in (0, UNSUPPORTED)


@pytest.mark.parametrize("threshold", [1, 16, 256])
@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_no_error_is_beyond_its_bound(cpus: list[int], threshold: int, tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "counter_error.c")
    measured = engine.measure("counter/error", (threshold,), cpus)
    assert measured.status == 0, measured.reason
    found = metrics(engine, "counter/error", measured.outcome)
    assert found["bound"] == threshold - 1
    assert 0 <= found["median_error"] <= found["p99_error"] <= found["max_error"] <= found["bound"]


@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_a_collected_sum_is_behind_and_never_ahead(cpus: list[int], tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "counter_staleness.c")
    measured = engine.measure("counter/staleness", (10,), cpus)
    assert measured.status == 0, measured.reason
    found = metrics(engine, "counter/staleness", measured.outcome)
    assert 0 <= found["median_error"] <= found["p99_error"] <= found["max_error"]
    assert found["rate_times_period"] > 0 and found["reads"] > 0


@pytest.mark.parametrize("toolchain", TOOLCHAINS[:2], ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize(("function", "instruction"), [("run_atomic", "lock"), ("run_private", "mov")])
def test_loop_is_the_bare_instruction(function: str, instruction: str, toolchain: Toolchain) -> None:
    if toolchain.arch != "x86_64":
        pytest.skip(f"not looked at on {toolchain.arch}")
    bare = min(loops(functions("counter_increment.c", toolchain)[function]), key=len)
    assert len(bare) <= 5
    assert [step.mnemonic.startswith(instruction) for step in bare if step.has_memory_operand] == [True]


def test_an_unregistered_rseq_is_refused_with_its_need() -> None:
    """glibc's own switch keeps the thread from being registered; elsewhere seccomp or an emulator does."""
    code = (
        "from kernels.trial import measure; "
        "found = measure('counter/increment', {'kind': 'rseq'}); "
        "print(found.status, found.reason)"
    )
    environment = os.environ | {
        "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    status, _, reason = answer.stdout.strip().partition(" ")
    assert int(status) == UNSUPPORTED
    assert reason.startswith("needs restartable sequences registered by the C library")


@pytest.mark.parametrize("state", [0, 1], ids=["idle", "written"])
@pytest.mark.parametrize("slots", [2, 64])
@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_reading_sums_all_slots(cpus: list[int], slots: int, state: int, tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "counter_read.c")
    measured = engine.measure("counter/read", (slots, state), cpus)
    assert measured.status == 0, measured.reason
    writes = metrics(engine, "counter/read", measured.outcome)["writes_per_operation"]
    assert writes > 0 if state else writes == 0


@pytest.mark.parametrize(
    ("source", "name", "values"),
    [
        ("counter_sloppy.c", "counter/sloppy", (0,)),
        ("counter_error.c", "counter/error", (0,)),
        ("counter_read.c", "counter/read", (0, 0)),
        ("counter_staleness.c", "counter/staleness", (0,)),
    ],
)
def test_impossible_parameters_are_refused(source: str, name: str, values: tuple[int, ...], tmp_path: Path) -> None:
    engine = engine_of(tmp_path, source)
    cpus = ALONE if engine.kernel(name).threads.min == 1 else TEAMS[1]
    measured = engine.measure(name, values, cpus)
    assert measured.status < 0
    assert str(values[0]) in measured.reason
