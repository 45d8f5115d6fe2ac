"""memory/chase: one ring, in the promised state at the start, and never memory that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.disassemble import TOOLCHAINS, Toolchain, functions, loops
from kernels.measure import ENOTSUP, built_engine, kernel, measure
from kernels.plant import compile_broken
from kernels.program import program

LINE_BYTES = 64
LOADS = {"x86_64": "mov", "aarch64": "ldr", "riscv64": "ld"}


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)
def test_loop_is_sixteen_loads_each_from_the_last(toolchain: Toolchain) -> None:
    if toolchain.arch not in LOADS:
        pytest.skip(f"not looked at on {toolchain.arch}")
    (loop,) = loops(functions("memory/chase.c", toolchain)["run"])
    loads = [step for step in loop if step.has_memory_operand]
    assert [step.mnemonic for step in loads] == [LOADS[toolchain.arch]] * 16
    assert len(loop) <= 16 + 3
    x86 = toolchain.arch == "x86_64"
    for before, after in zip(loads, [*loads[1:], loads[0]], strict=True):
        target = before.registers[-1 if x86 else 0]
        assert after.registers[0 if x86 else -1] == target, f"{after} does not wait for {before}"


def test_huge_pages_that_are_refused_are_a_need(tmp_path: Path) -> None:
    """As where the process has them switched off (PR_SET_THP_DISABLE): never a row of small ones under that name."""
    small = [("(size_t)size, trial->value[PAGES] == HUGE_PAGES)", "(size_t)size, 0)")]
    measured = measure(compile_broken(tmp_path, {"memory/chase.c": small}), "memory/chase", {"pages": "huge"})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs transparent huge pages, and enough of them free")


@pytest.mark.parametrize("order", ["random", "forward"])
@pytest.mark.parametrize("pages", ["small", "huge"])
@pytest.mark.parametrize("size", ["4KiB", "48KiB", "256KiB"])
def test_small_ring_is_warm(size: str, pages: str, order: str) -> None:
    measured = measure(built_engine(), "memory/chase", {"size": size, "pages": pages, "order": order})
    if measured.status == ENOTSUP and pages == "huge":
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["warm"] == 1
    lines = kernel("memory/chase").parameter("size").parse(size) // LINE_BYTES
    assert measured.metrics["lines_touched"] <= lines
    assert measured.metrics["page_bytes"] >= 4096
    if pages == "small":
        assert measured.metrics["huge_pct"] == 0


def test_large_ring_starts_cold_and_is_never_met_twice() -> None:
    measured = measure(built_engine(), "memory/chase", {"size": "40MiB", "pages": "small"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["warm"] == 0
    operations = sum(sample.operations for sample in measured.samples)
    # Calibration and warm-up are loads too.
    assert operations < measured.metrics["lines_touched"] <= 40 * 2**20 / LINE_BYTES


@pytest.mark.parametrize("size", ["0", "-1024", "1000", "4160"])
def test_sizes_that_are_no_whole_turns_are_refused(size: str) -> None:
    measured = measure(built_engine(), "memory/chase", {"size": size})
    assert measured.status < 0
    assert measured.status != ENOTSUP
    assert f"size={size}" in measured.reason


def test_ring_larger_than_free_memory_is_not_tried() -> None:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    size = int(fields["MemAvailable"].split()[0]) * 1024 // 2**20 * 2**20
    if size > 2**40:
        pytest.skip("needs a machine with less than 1 TiB of free memory")
    measured = measure(built_engine(), "memory/chase", {"size": str(size)})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs ") and measured.reason.endswith("MiB of free memory")


def test_address_space_that_is_limited_is_a_need(tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "memory/chase.c",
        """
    struct rlimit limit = {64 << 20, 64 << 20};
    int64_t values[] = {128 << 20, HUGE_PAGES, RANDOM};
    setrlimit(RLIMIT_AS, &limit);
    printf("%d\\n", trial_begin(&trial, &kernel_chase, values, sizeof values));
    puts(trial.need ? trial.need : "nothing");
""",
        before="#include <sys/resource.h>",
    )
    assert int(lines[0]) == ENOTSUP
    # Or, on a machine with as little memory as that, the memory.
    assert "a limit of address space above 129 MiB" in lines[1] or "free memory" in lines[1]


def test_every_row_of_a_sweep_is_a_size_that_setup_takes() -> None:
    size = kernel("memory/chase").parameter("size")
    assert kernel("memory/chase").twin
    for profile in ("quick", "standard", "rigorous"):
        assert list(size.sweep(profile)) == sorted(size.sweep(profile))
        assert all(value % (16 * LINE_BYTES) == 0 for value in size.sweep(profile))
    assert size.sweep("rigorous") == tuple(2**n for n in range(12, 31))


def test_ring_is_one_cycle_for_every_number_of_lines(tmp_path: Path) -> None:
    """Powers of two and all others: the successor function alone, walked round for 2 to 4096 lines in both orders."""
    lines = program(
        tmp_path,
        "memory/chase.c",
        """
    for (uint64_t n = 16; n <= 4096; n += n < 1024 ? 16 : 112)
        for (int forward = 0; forward < 2; forward++) {
            int64_t values[] = {(int64_t)n * LINE_BYTES, SMALL_PAGES, forward};
            if (trial_begin(&trial, &kernel_chase, values, sizeof values)) { puts("setup failed"); return 0; }
            struct chase *chase = trial.state;
            uint64_t line = 0, steps = 0;
            do {
                const uint64_t next = successor(chase, line);
                if (next >= n || chase->lines[line].next != &chase->lines[next]) {
                    printf("%" PRIu64 " lines: the ring is not what the permutation says\\n", n);
                    return 0;
                }
                line = next;
            } while (++steps <= n && line);
            if (steps != n) { printf("%" PRIu64 " lines: a cycle of %" PRIu64 "\\n", n, steps); return 0; }
            run(&worker, 16 * 77);
            if (check(&trial)) { puts(trial.explanation); return 0; }
            allocations_free(&trial, 0);
        }
    puts("all");
""",
        before='#include "engine/engine.h"',
    )
    assert lines == ["all"]


STEPS = [
    "chase->at = chase->at->next",  # a step that was not asked for
    "chase->loads -= LOADS",  # a turn left out
]
LINES = [
    "chase->lines[5].next = chase->lines",  # a short cut
    "chase->lines[9].next = chase->lines[9].next->next",  # a line left out
]


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        *(("64 << 10", fault) for fault in STEPS + LINES),
        *(("8 << 20", fault) for fault in STEPS + LINES),
        *(("40 << 20", fault) for fault in STEPS),
    ],
)
def test_check_notices(size: str, fault: str, tmp_path: Path) -> None:
    lines = program(
        tmp_path,
        "memory/chase.c",
        f"""
    int64_t values[] = {{{size}, SMALL_PAGES, RANDOM}};
    if (trial_begin(&trial, &kernel_chase, values, sizeof values)) {{ puts("setup failed"); return 0; }}
    struct chase *chase = trial.state;
    run(&worker, 16 * 77);
    printf("%d\\n", check(&trial));
    {fault};
    printf("%d\\n", check(&trial) != 0);
""",
    )
    assert lines == ["0", "1"]


def test_random_order_has_no_stride_and_no_favourite_page(tmp_path: Path) -> None:
    """Successive lines: differences hardly repeat, and the page stays the same no more often than by chance."""
    lines = program(
        tmp_path,
        "memory/chase.c",
        """
    int64_t values[] = {16 << 20, SMALL_PAGES, RANDOM};
    if (trial_begin(&trial, &kernel_chase, values, sizeof values)) { puts("setup failed"); return 0; }
    struct chase *chase = trial.state;
    for (uint64_t i = 0, line = 0; i < 20000; i++, line = successor(chase, line))
        printf("%" PRIu64 "\\n", line);
""",
    )
    order = [int(line) for line in lines]
    assert len(set(order)) == len(order) == 20000
    for lag in (1, 2, 3, 64, 256):
        steps = [after - before for before, after in zip(order, order[lag:], strict=False)]
        # 20000 differences of two random lines of 262144: a given one comes 0.08 times.
        assert max(steps.count(step) for step in set(steps[:200])) <= 4
        pages = [after // 64 == before // 64 for before, after in zip(order, order[lag:], strict=False)]
        assert sum(pages) <= 40  # chance: 20000 / 4096 pages, 5
        in_page = [after % 64 - before % 64 for before, after in zip(order, order[lag:], strict=False)]
        # No fixed step within the page either: the most frequent of them is 0, once in 64.
        assert max(in_page.count(step) for step in set(in_page)) < 2 * 20000 / 64
