"""perf/software, perf/migrations and perf/hardware: counts of Linux and of the CPU, exact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken, expect_no_thread_more_than, threads

SOFTWARE, MIGRATIONS = "perf/software.c", "perf/migrations.c"
CASES = [
    ("perf/software", {"event": "context_switches"}, 1000),
    ("perf/software", {"event": "page_faults"}, 1024),
    ("perf/software", {"event": "cpu_clock"}, 20),
    ("perf/migrations", {"moves": "asked"}, 20),
    ("perf/migrations", {"moves": "pinned"}, 0),
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    files, running, mask = set(Path("/proc/self/fd").iterdir()), threads(), os.sched_getaffinity(0)
    yield
    assert set(Path("/proc/self/fd").iterdir()) <= files
    expect_no_thread_more_than(running)
    assert os.sched_getaffinity(0) == mask


@pytest.mark.parametrize(("kernel", "values", "expected"), CASES)
def test_counts_are_exact(engine: Engine, kernel: str, values: dict[str, str | int], expected: int) -> None:
    measured = measure(engine, kernel, values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == measured.outcome.count[0].expected == expected


def test_a_free_thread_counts_what_it_saw(engine: Engine) -> None:
    measured = measure(engine, "perf/migrations", {"moves": "free"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["migrations"] >= measured.outcome.count[0].expected


@pytest.mark.parametrize(
    ("file", "values", "whole", "broken", "said"),
    [
        (SOFTWARE, {"event": "context_switches"}, "i < ROUND_TRIPS", "i < ROUND_TRIPS - 1", "999 events"),
        (SOFTWARE, {"event": "page_faults"}, "i < COUNTED_PAGES;", "i < COUNTED_PAGES - 1;", "1023 events"),
        (SOFTWARE, {"event": "cpu_clock"}, "PERF_COUNT_SW_CPU_CLOCK,", "PERF_COUNT_SW_PAGE_FAULTS,", "0 events"),
        (MIGRATIONS, {"moves": "asked"}, "i % 2 ? 0 : 1", "i % 2 ? 0 : 0", "0 moves instead of 20"),
        (MIGRATIONS, {"moves": "pinned"}, "cpus, 2) : 0;", "cpus, 2) : run_on(trial->cpus + 1, 1);", "must not"),
        (MIGRATIONS, {"moves": "asked"}, "PERF_COUNT_SW_CPU_MIGRATIONS", "PERF_COUNT_SW_DUMMY", "0 moves instead"),
    ],
)
def test_a_count_that_is_not_what_happened_fails(
    tmp_path: Path, file: str, values: dict[str, str | int], whole: str, broken: str, said: str
) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, file.removesuffix(".c"), values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


@pytest.mark.parametrize(
    ("error", "said"), [("EACCES", "needs permission to count events"), ("ENOENT", "needs a Linux that counts")]
)
def test_a_system_that_refuses_is_a_need(tmp_path: Path, error: str, said: str) -> None:
    refused = [("return file < 0 ? -errno : (int)file;", f"if (file >= 0) close((int)file);\n return -{error};")]
    kernels = ("perf/software", "perf/migrations")
    faulty = compile_broken(tmp_path, {**{f"{kernel}.c": [] for kernel in kernels}, "perf_events.h": refused})
    for kernel in kernels:
        measured = measure(faulty, kernel)
        assert measured.status == ENOTSUP
        assert measured.reason.startswith(said)


# ---- a CPU that counts, which a planted line plays where there is none ----


def counting(folder: Path, count: str) -> Engine:
    """An engine in which the counter says `count` of the turns that were made since it was started."""
    return compile_broken(
        folder,
        {
            "perf/hardware.c": [
                (".needs      = NEED_HARDWARE_PMU,", ""),
                (
                    "event_open(PERF_TYPE_HARDWARE, configs[trial->value[0]], IN_USER_MODE)",
                    'open("/dev/null", O_RDONLY)',
                ),
                ("return event_stop(event);", f"return {count};"),
            ]
        },
    )


@pytest.mark.parametrize(("event", "count"), [("instructions", "2 * turns + 17"), ("branches", "turns + 17")])
def test_a_cpu_that_counts_is_believed(tmp_path: Path, event: str, count: str) -> None:
    measured = measure(counting(tmp_path, count), "perf/hardware", {"event": event})
    assert measured.status == 0, measured.reason
    assert measured.metrics["counted_per_event"] == 1.0


@pytest.mark.parametrize("count", ["turns", "2000017", "0"])
def test_a_cpu_that_counts_otherwise_fails(tmp_path: Path, count: str) -> None:
    measured = measure(counting(tmp_path, count), "perf/hardware", {"event": "instructions"})
    assert measured.status == EILSEQ and "count counted: " in measured.reason and "instead of 2" in measured.reason


def test_a_counter_that_others_have_is_a_need(tmp_path: Path) -> None:
    measured = measure(counting(tmp_path, "-EIO"), "perf/hardware")
    assert measured.status == ENOTSUP and "a hardware counter that nobody else uses" in measured.reason


def test_a_counter_of_the_cpu_counts_or_is_a_need() -> None:
    measured = measure(built_engine(), "perf/hardware")
    assert measured.status in (0, ENOTSUP), measured.reason
    assert measured.status == 0 or "that opens and counts" in measured.reason
