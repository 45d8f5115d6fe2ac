"""clock/*: a variant is measured or says what it needs, holds the instructions of its name, and notices faults."""

from __future__ import annotations

import math
import platform
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from engine.build import Engine, Measured, compile_files
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, catalog, measure, names, parameters
from kernels.plant import KERNELS
from topics.clock.labels import (
    CLOCKS,
    LENGTHS,
    PAIRS,
    READS,
    UNORDERED,
    architecture_of,
)

FILES = sorted(KERNELS.glob("clock/*.c"))
NATIVE = {"x86_64": "an x86-64 CPU", "aarch64": "an AArch64 CPU", "riscv64": "a 64-bit RISC-V CPU"}

x86_64_only = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the instructions looked for are those of x86-64"
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def expect_measured(measured: Measured, label: str) -> bool:
    """Whether it was measured; otherwise it must have said that it is foreign, or which instruction is missing."""
    needed = architecture_of(label)
    if needed not in (None, platform.machine()):
        assert measured.status == ENOTSUP
        assert measured.reason == f"needs {NATIVE[str(needed)]}"
        return False
    if label == "serialize_rdtsc" and measured.status == ENOTSUP:
        assert "SERIALIZE" in measured.reason
        return False
    assert measured.status == 0, measured.reason
    return True


def test_the_family_is_complete(engine: Engine) -> None:
    assert engine.fault() is None
    assert {name for name in names(engine) if name.startswith("clock/")} == {
        *(f"clock/{name}" for name in ("read", "delta", "bias", "empty", "core", "core_loaded", "core_series", "rate")),
        *(f"clock/{name}" for name in ("offset", "call", "null_syscall", "resolution", "python", "wakeup")),
    }


def test_values_mean_the_same_on_every_architecture(engine: Engine) -> None:
    assert parameters(engine, "clock/read")["read"] == READS
    assert parameters(engine, "clock/delta")["read"] == READS
    assert parameters(engine, "clock/bias")["pair"] == PAIRS


@x86_64_only
def test_the_default_is_the_architectures_best(engine: Engine) -> None:
    for name, best in {
        "clock/read": "lfence_rdtsc_lfence",
        "clock/delta": "lfence_rdtsc_lfence",
        "clock/bias": "lfence_rdtsc_lfence_to_rdtscp_lfence",
    }.items():
        parameter = engine.kernel(name).parameters[0]
        assert engine.ffi.string(parameter.labels).decode().split()[parameter.initial] == best


@pytest.mark.parametrize("read", READS)
def test_read_is_measured_or_foreign(engine: Engine, read: str) -> None:
    measured = measure(engine, "clock/read", {"read": read})
    if expect_measured(measured, read):
        assert all(sample.ticks > 0 and sample.operations >= 1 for sample in measured.samples)


@pytest.mark.parametrize("read", READS)
def test_delta_tells_step_and_order(engine: Engine, read: str) -> None:
    measured = measure(engine, "clock/delta", {"read": read})
    if not expect_measured(measured, read):
        return
    found = measured.metrics
    slow = read == "cpuid_rdtsc"
    # 20 processes of the standard profile: at least 200 000 of each, of the slow one at most 2000
    assert measured.outcome.events == (100 if slow else 10240)
    assert found["negative"] == 0 or read in UNORDERED
    assert 1 <= found["distinct"] <= measured.outcome.events
    assert found["quantum_ticks"] > 0
    if read != "monotonic_raw" and found["distinct"] < 200:  # then the histogram holds exact values
        assert all(ticks % int(found["quantum_ticks"]) == 0 for ticks, count in measured.buckets if ticks < 256)
        assert math.gcd(*(ticks for ticks, _ in measured.buckets if ticks < 256)) % int(found["quantum_ticks"]) == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_bias_has_a_mean_for_each_length(engine: Engine, pair: str) -> None:
    measured = measure(engine, "clock/bias", {"pair": pair})
    if not expect_measured(measured, pair):
        return
    found = measured.metrics
    assert list(found) == [*(f"k{k}_mean_ticks" for k in LENGTHS), "gaps_pct"]
    assert all(math.isfinite(value) for value in found.values())
    assert measured.outcome.events >= 200
    assert 0 <= found["gaps_pct"] < 100


def test_empty_window_is_told_finer_than_the_counters_step(engine: Engine) -> None:
    measured = measure(engine, "clock/empty")
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert found["mean_ticks"] == pytest.approx(
        sum(t * n for t, n in measured.buckets) / measured.outcome.events, abs=0.5
    )
    assert 0 <= found["gaps_pct"] < 100


@pytest.mark.parametrize("state", ["cold", "warm", "avx512"])
def test_core_clock_follows_from_its_chain(engine: Engine, state: str) -> None:
    measured = measure(engine, "clock/core", {"state": state, "spin_ms": 1})
    if measured.status == ENOTSUP and state == "avx512":
        assert "AVX-512" in measured.reason
        return
    assert measured.status == 0, measured.reason
    found = measured.metrics
    if platform.machine() == "x86_64":
        # So few events are kept as they are. Of 16 clocks the upper of the middle two is that of the shorter chain.
        chains = [ticks for ticks, count in measured.buckets for _ in range(count)]
        assert len(chains) == 16
        assert found["core_hz"] == pytest.approx(3 * 16384 / chains[7] * measured.outcome.tick_hz)
    assert found["first_hz"] > 0


def test_cold_core_has_slept(engine: Engine) -> None:
    assert measure(engine, "clock/core", {"state": "cold"}).outcome.elapsed_ns >= 20_000_000


def test_loaded_core_says_how_far_the_others_ran(engine: Engine) -> None:
    measured = measure(engine, "clock/core_loaded")
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert found["core_hz"] > 0
    assert found["others_share"] >= 0


def test_core_series_is_a_time_axis(engine: Engine) -> None:
    measured = measure(engine, "clock/core_series", {"duration_ms": 120})
    assert measured.status == 0, measured.reason
    assert engine.kernel("clock/core_series").flags & engine.lib.KERNEL_ONCE
    begins = [sample.begin_ticks / measured.outcome.tick_hz for sample in measured.samples]
    assert len(begins) == 12
    assert begins == sorted(begins)
    assert begins[-1] - begins[0] >= 0.1  # eleven steps of 10 ms, the first of which may be cut short
    found = measured.metrics
    assert 0 < found["low_hz"] <= found["core_hz"] <= found["high_hz"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("clock/core_series", {"duration_ms": 9}),
        ("clock/core_series", {"duration_ms": 20_481}),
        ("clock/core", {"spin_ms": 0}),
        ("clock/rate", {"duration_ms": 0}),
        ("clock/rate", {"duration_ms": 60_001}),
        ("clock/wakeup", {"period_us": 9}),
        ("clock/wakeup", {"period_us": -1000}),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(engine: Engine, name: str, values: dict[str, str | int]) -> None:
    measured = measure(engine, name, values)
    assert measured.status == EINVAL
    assert f"{next(iter(values))} must be" in measured.reason


@pytest.mark.parametrize("during", ["sleep", "spin"])
def test_rate_covers_its_interval(engine: Engine, during: str) -> None:
    measured = measure(engine, "clock/rate", {"during": during, "duration_ms": 5})
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert measured.outcome.elapsed_ns >= 5_000_000
    assert found["ppm"] == pytest.approx((found["tick_hz"] / measured.outcome.tick_hz - 1) * 1e6, abs=1e-3)
    assert measured.samples[0].ticks == pytest.approx(found["tick_hz"] / 1000, abs=1)


def test_offset_is_an_interval(engine: Engine) -> None:
    measured = measure(engine, "clock/offset")
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert found["offset_low_ticks"] <= found["offset_high_ticks"]
    assert found["offset_low_ticks"] < -found["one_way_back_min_ticks"]  # widened by one step of the counter
    assert found["offset_high_ticks"] > found["one_way_there_min_ticks"]
    assert measured.outcome.events == 2000
    # No round trip is shorter than the shortest ways there and back.
    assert measured.buckets[0][0] >= found["one_way_there_min_ticks"] + found["one_way_back_min_ticks"]


@pytest.mark.parametrize("via", ["libc", "syscall"])
@pytest.mark.parametrize("clock", [*CLOCKS, "gettimeofday"])
def test_every_clock_can_be_asked(engine: Engine, clock: str, via: str) -> None:
    measured = measure(engine, "clock/call", {"clock": clock, "via": via})
    assert measured.status == 0, measured.reason


def test_null_syscall_is_the_control_with_a_twin(engine: Engine) -> None:
    assert measure(engine, "clock/null_syscall").status == 0
    assert engine.kernel("clock/null_syscall").flags & engine.lib.KERNEL_TWIN


@pytest.mark.parametrize("clock", [*CLOCKS, "gettimeofday"])
def test_resolution_tells_promise_and_step(engine: Engine, clock: str) -> None:
    measured = measure(engine, "clock/resolution", {"clock": clock})
    assert measured.status == 0, measured.reason
    found = measured.metrics
    promise = time.clock_getres(CLOCKS[clock]) if clock in CLOCKS else 1e-6
    assert found["getres_ns"] == pytest.approx(promise * 1e9, abs=0.5)
    assert found["min_step_ns"] > 0
    if clock == "gettimeofday":
        assert found["min_step_ns"] % 1000 == 0


def test_python_is_called_in_a_process_that_has_it(engine: Engine) -> None:
    measured = measure(engine, "clock/python")
    assert measured.status == 0, measured.reason
    assert time.perf_counter_ns() > 0  # the interpreter is none the worse for it


@pytest.mark.parametrize("policy", ["other", "other_slack1", "fifo"])
def test_wakeups_come_after_their_deadlines(engine: Engine, policy: str) -> None:
    measured = measure(engine, "clock/wakeup", {"policy": policy}, batches=5)
    if policy == "fifo" and measured.status == ENOTSUP:
        assert "SCHED_FIFO" in measured.reason
        return
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 10
    assert measured.buckets[0][0] >= 0
    assert measured.outcome.elapsed_ns >= 11 * 1_000_000
    assert measured.metrics["missed"] >= 0


def test_wakeup_leaves_the_thread_as_it_was_found(tmp_path: Path) -> None:
    # Policy and slack belong to the thread: look at them from the check, which runs in the same one.
    include = "#include <sched.h>\n"
    source = (KERNELS / "clock/wakeup.c").read_text(encoding="utf-8")
    mutant = tmp_path / "wakeup.c"
    mutant.write_text(
        source.replace(
            "    const struct wakeups *wakeups = trial->state;\n\n",
            "    const struct wakeups *wakeups = trial->state;\n\n"
            "    if (sched_getscheduler(0) != SCHED_OTHER || prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != 12345)\n"
            '        return trial_fault(trial, "policy %d, slack %d", sched_getscheduler(0),\n'
            "                           prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));\n",
            1,
        )
        .replace(include, include + "#include <sys/prctl.h>\n", 1)
        .replace(
            "{\n    if (trial->value[1] < LEAST",
            "{\n    prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0);\n    if (trial->value[1] < LEAST",
            1,
        ),
        encoding="utf-8",
    )
    engine = compile_files(tmp_path, [mutant])
    for policy in ("other", "other_slack1", "fifo"):
        measured = measure(engine, "clock/wakeup", {"policy": policy}, batches=1)
        assert measured.status in (0, ENOTSUP), measured.reason


def test_costs_are_what_the_plan_can_afford(engine: Engine) -> None:
    """The family's own estimate of a round in the standard profile, sweeps included, series apart: at most 700 ms."""
    settings = engine.ffi.new("struct settings *", {"batches": 20, "warmup_batches": 3, "batch_ns": 50_000})
    total_ns = 0
    for name in names(engine):
        kernel = engine.kernel(name)
        if not name.startswith("clock/") or kernel.flags & engine.lib.KERNEL_ONCE:
            continue
        cases: list[tuple[int, ...]] = [()]
        for parameter in catalog(engine).get(name).parameters:
            cases = [(*case, value) for case in cases for value in parameter.sweep("standard")]
        for case in cases:
            padded = [*case, *([0] * (engine.lib.MAX_PARAMETERS - len(case)))]
            total_ns += engine.lib.trial_cost_ns(kernel, padded, kernel.threads.min, settings)
    assert total_ns <= 700e6


# ---- checks notice what they are there for ----


class Fault(NamedTuple):
    """What stands in a file, what a fault would make of it, the case it spoils, what the check must say."""

    whole: str
    broken: str
    kernel: str
    values: dict[str, str | int]
    says: str


FAULTS = {
    "clock/bias.c": Fault(
        "MULTIPLY_TIMES(k, product, factor);",
        "MULTIPLY_TIMES(k - (k == 64), product, factor);",
        "clock/bias",
        {},
        "does not hold",
    ),
    "clock/call.c": Fault(
        "syscall(SYS_clock_gettime, id, &now.spec)",
        "syscall(SYS_clock_gettime, 9999, &now.spec)",
        "clock/call",
        {"via": "syscall"},
        "could not be read",
    ),
    "clock/core.c": Fault(
        "i < CHAIN_LENGTH / BLOCK; i++)\n        MULTIPLY",
        "i < CHAIN_LENGTH / BLOCK - 1; i++)\n        MULTIPLY",
        "clock/core",
        {"spin_ms": 1},
        "does not hold",
    ),
    "clock/empty.c": Fault("(int64_t)(end - begin)", "(int64_t)(begin - end)", "clock/empty", {}, "less than 0 ticks"),
    "clock/offset.c": Fault(
        "atomic_store_explicit(&letter->number, number,",
        "atomic_store_explicit(&letter->number, number == 7 ? 9 : number,",
        "clock/offset",
        {},
        "out of order",
    ),
    # Too short by a minute, and too early by a quarter of an hour: so late no machine is.
    "clock/rate.c": Fault(
        "spin_ns((uint64_t)duration_ns)",
        "spin_ns(1000)",
        "clock/rate",
        {"during": "spin", "duration_ms": 60_000},
        "went on by",
    ),
    "clock/read.c": Fault("before = now;", "before = now + 1000000;", "clock/delta", {}, "negative"),
    "clock/wakeup.c": Fault(
        '#include "kernels/wakeups.h"',
        '#include <time.h>\n#define clock_nanosleep(...) 0 /* nobody sleeps */\n#include "kernels/wakeups.h"',
        "clock/wakeup",
        {},
        "before their deadline",
    ),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The same kernels, each with one fault."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "clock").mkdir()
    for header in KERNELS.glob("clock/*.h"):
        shutil.copy(header, folder / "clock")
    for name, fault in FAULTS.items():
        source = (KERNELS / name).read_text(encoding="utf-8")
        assert source.count(fault.whole) == 1, f"{name} no longer has the line that this test breaks: {fault.whole}"
        (folder / name).write_text(source.replace(fault.whole, fault.broken), encoding="utf-8")
    return compile_files(folder, sorted(folder.glob("clock/*.c")))


@pytest.mark.parametrize("file", sorted(FAULTS))
def test_check_notices_a_fault(faulty: Engine, file: str) -> None:
    fault = FAULTS[file]
    measured = measure(faulty, fault.kernel, fault.values)
    assert measured.status == EILSEQ, measured.reason
    assert fault.says in measured.reason
