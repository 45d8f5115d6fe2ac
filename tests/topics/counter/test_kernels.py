"""counter/*: every increment is found again, or the check says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from compile import CSRC
from kernels.disassemble import TOOLCHAINS, Toolchain, functions, loops
from kernels.measure import ALONE, ENOTSUP, TEAMS, TRIES, built_engine, kernel
from kernels.plant import engine_of
from kernels.program import program

KINDS = tuple(kernel("counter/increment").parameter("kind").labels)


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
def test_every_kind_counts_exactly_but_the_racy_one(cpus: list[int]) -> None:
    engine = built_engine()
    for kind, label in enumerate(KINDS):
        measured = engine.trial("counter/increment", (kind,), cpus)
        if label == "rseq" and measured.status == ENOTSUP:
            continue
        assert measured.status == 0, f"{label}: {measured.reason}"
        lost = measured.metrics["lost_pct"]
        assert lost == 0 or (label == "racy" and 0 <= lost <= 100 and len(cpus) > 1)


@pytest.mark.parametrize(
    ("source", "name", "values", "old", "new"),
    [
        ("counter/increment.c", "counter/increment", (0,), "&counter->total, 1,", "&counter->total, 2,"),
        ("counter/increment.c", "counter/increment", (3,), "&counter->total, count + 1", "&counter->total, count + 2"),
        ("counter/sloppy.c", "counter/sloppy", (16,), "&sloppy->common, threshold", "&sloppy->common, threshold - 1"),
        ("counter/staleness.c", "counter/staleness", (10,), "collected = sum;", "collected = sum + (1ull << 40);"),
        ("counter/refcount.c", "counter/refcount", (0, 1), "TAKE_ONE == 1)", "ADD_ONE == 1)"),
    ],
)
def test_check_notices(source: str, name: str, values: tuple[int, ...], old: str, new: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path, source, (old, new))
    cpus = ALONE if engine.kernel(name).threads.min == 1 else TEAMS[1]
    measured = engine.trial(name, values, cpus)
    assert measured.status not in (0, ENOTSUP)


@pytest.mark.parametrize("threshold", [1, 16, 256])
@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_no_error_is_beyond_its_bound(cpus: list[int], threshold: int) -> None:
    engine = built_engine()
    measured = engine.trial("counter/error", (threshold,), cpus)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert found["bound"] == threshold - 1
    assert 0 <= found["median_error"] <= found["p99_error"] <= found["max_error"] <= found["bound"]


@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_a_collected_sum_is_behind_and_never_ahead(cpus: list[int]) -> None:
    engine = built_engine()
    measured = engine.trial("counter/staleness", (10,), cpus)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert 0 <= found["median_error"] <= found["p99_error"] <= found["max_error"]
    assert found["rate_times_period"] > 0 and found["reads"] > 0


@pytest.mark.parametrize("toolchain", TOOLCHAINS[:2], ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize(("function", "instruction"), [("run_atomic", "lock"), ("run_private", "mov")])
def test_loop_is_the_bare_instruction(function: str, instruction: str, toolchain: Toolchain) -> None:
    if toolchain.arch != "x86_64":
        pytest.skip(f"not looked at on {toolchain.arch}")
    bare = min(loops(functions("counter/increment.c", toolchain)[function]), key=len)
    assert len(bare) <= 5
    assert [step.mnemonic.startswith(instruction) for step in bare if step.has_memory_operand] == [True]


def test_an_unregistered_rseq_is_refused_with_its_need() -> None:
    """glibc's own switch keeps the thread from being registered; elsewhere seccomp or an emulator does."""
    code = (
        "from kernels.measure import built_engine, measure; "
        "found = measure(built_engine(), 'counter/increment', {'kind': 'rseq'}); "
        "print(found.status, found.reason)"
    )
    environment = os.environ | {
        "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    status, _, reason = answer.stdout.strip().partition(" ")
    assert int(status) == ENOTSUP
    assert reason.startswith("needs restartable sequences registered by the C library")


@pytest.mark.parametrize("state", [0, 1], ids=["idle", "written"])
@pytest.mark.parametrize("slots", [2, 64])
@pytest.mark.parametrize("cpus", TEAMS[1:], ids=str)
def test_reading_sums_all_slots(cpus: list[int], slots: int, state: int) -> None:
    engine = built_engine()
    measured = engine.trial("counter/read", (slots, state), cpus)
    assert measured.status == 0, measured.reason
    writes = measured.metrics["writes_per_operation"]
    assert writes > 0 if state else writes == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [("counter/sloppy", (0,)), ("counter/error", (0,)), ("counter/read", (0, 0)), ("counter/staleness", (0,))],
)
def test_impossible_parameters_are_refused(name: str, values: tuple[int, ...]) -> None:
    engine = built_engine()
    cpus = ALONE if engine.kernel(name).threads.min == 1 else TEAMS[1]
    measured = engine.trial(name, values, cpus)
    assert measured.status < 0
    assert str(values[0]) in measured.reason


MIGRATING = """
#if !HAS_RSEQ
    puts("none");
#else
    enum { THREADS = 4, EACH = 200000 };
    pthread_t threads[THREADS];
    cpu_set_t all, one;
    int64_t sum = 0;
    int cpus[2], count = 0;

    if (!rseq_registered()) {
        puts("none");
        return 0;
    }
    sched_getaffinity(0, sizeof all, &all);
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET(cpu, &all))
            cpus[count++] = cpu;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_many, (void *)(intptr_t)EACH);
    for (int hop = 0; !atomic_load(&done); hop++)
        for (int i = 0; i < THREADS; i++) { /* until the first has ended: then none may be touched any more */
            CPU_ZERO(&one);
            CPU_SET(cpus[(hop + i) % count], &one);
            if (!atomic_load(&done))
                pthread_setaffinity_np(threads[i], sizeof one, &one);
        }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        sum += *(int64_t *)(slots + ((size_t)cpu << RSEQ_SLOT_SHIFT));
    printf("%" PRId64 " of %d\\n", sum, THREADS * EACH);
#endif
"""
ADDING = """#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "kernel.h"
#include "stretched_rseq.h"
static _Alignas(128) char slots[(size_t)CPU_SETSIZE << 7];
static _Atomic int done;
#if HAS_RSEQ
static void *add_many(void *times)
{
    uint64_t restarts = 0;
    for (intptr_t i = 0; i < (intptr_t)times; i++)
        rseq_add(rseq_of_thread(), slots, 1, &restarts);
    atomic_store(&done, 1);
    return NULL;
}
#endif
"""


STORE = 'movq %[scratch], %[descriptor]\\n"'
ADD = '"addq %[amount], (%[slots], %[scratch])\\n"'
SLOW_ADD = (
    '"movq (%[slots], %[scratch]), %%rcx\\n\\t.rept 40\\n\\tpause\\n\\t.endr\\n\\t"'
    '"addq %[amount], %%rcx\\n\\tmovq %%rcx, (%[slots], %[scratch])\\n"'
)
STRETCHED = ((ADD, SLOW_ADD), (': "memory", "cc");', ': "memory", "cc", "rcx");'))
"""Load, a pause, store: the sequence still commits by its last instruction, but now moves and preemptions hit it."""


def moved_counts(folder: Path, *replacements: tuple[str, str]) -> tuple[int, int]:
    """Increments found and made by the stretched sequence of four threads on two CPUs."""
    text = (CSRC / "kernels" / "counter/rseq.h").read_text(encoding="utf-8")
    for old, new in (*replacements, *STRETCHED):
        assert old in text, f"counter/rseq.h has no {old!r}"
        text = text.replace(old, new)
    (folder / "stretched_rseq.h").write_text(text, encoding="utf-8")
    (line,) = program(folder, "counter/sloppy.c", MIGRATING, ADDING)
    if line == "none":
        pytest.skip("needs restartable sequences, on x86-64")
    found, _, made = line.partition(" of ")
    return int(found), int(made)


def test_rseq_loses_nothing_while_threads_are_moved(tmp_path: Path) -> None:
    """Four threads on two CPUs, moved from one to the other all the time."""
    found, made = moved_counts(tmp_path)
    assert found == made


def test_without_the_restart_increments_are_lost(tmp_path: Path) -> None:
    """The control: the same code, whose descriptor is never stored. Preemption alone shows it, on one CPU as well.

    Nine tenths of the time lie between a load and its store, so that one preemption in such a run is all but enough;
    there are dozens.
    """
    tries = (moved_counts(tmp_path, (STORE, 'nop\\n"')) for _ in range(TRIES))
    assert any(found < made for found, made in tries)
