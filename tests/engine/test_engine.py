"""The C engine: registry, sampler, team, memory and probes, seen through kernels that misbehave on purpose."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from engine.build import Engine, compile_engine, compile_files
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.plant import expect_no_thread_more_than, threads
from runs.measure import wait_for

EXEMPLAR = Path(__file__).resolve().parents[1] / "data" / "exemplar.c"

GOOD = """
static int fine(struct trial *trial) { (void)trial; return 0; }
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n; i++)
        __asm__ volatile("");
}
"""

KERNELS = Path(__file__).with_name("misbehaving.c")

EXTRA = "extern int64_t test_values[20000]; extern uint64_t test_count; void memory_give_back(void);"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_files(tmp_path_factory.mktemp("engine"), [KERNELS], EXTRA)


def row(**changes: str) -> str:
    """A KERNEL line that is complete but for the changes; a change to the empty string leaves the field out."""
    fields = {
        "name": '"test/one"',
        "summary": '"s"',
        "unit": '"u"',
        "threads": "{ 1, 1 }",
        "run": "spin",
        "check": "fine",
    } | changes
    return "KERNEL(one, " + ", ".join(f".{field} = {value}" for field, value in fields.items() if value) + ")\n"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (row() + row().replace("KERNEL(one", "KERNEL(two"), "two kernels are named test/one: one in "),
        (row(check=""), "has no check: what is not verified is not timed"),
        (row(run=""), "needs exactly one of run, events and work"),
        (row(work="(int (*)(struct worker *))fine"), "needs exactly one of run, events and work"),
        (row(run="", work="(int (*)(struct worker *))fine"), "has work but no counts"),
        (row(counts='{ { "c", "u", "s" }, { "c", "u", "s" } }'), "two counts of one name"),
        (row(counts='{ { "c" } }'), "count without unit or summary"),
        (row(control="0, .control = (int64_t (*)(struct worker *, int64_t *, uint64_t))spin"), "control but no events"),
        (row(name='"Test/One"'), "is not named topic/variant"),
        (row(name='"test"'), "is not named topic/variant"),
        (row(unit=""), "has no summary or no unit"),
        (row(threads="{ 2, 1 }"), "impossible range of threads"),
        (row(threads=""), "impossible range of threads"),
        (row(place="99"), "unknown placement"),
        (row(subject="FLAG_SHORT"), "a subject other than migrations, context switches and page faults"),
        (row(parameters='{ { "a", "u", "s", .initial = 1 }, { "a", "u", "s" } }'), "two parameters of one name"),
        (row(parameters='{ { "a", "u", "s", "x y", 2 } }'), "default is not one of its labels"),
        (row(parameters='{ { "a" } }'), "parameter without unit or summary"),
        (row(metrics='{ { "m", "u", "s" }, { "m", "u", "s" } }'), "two metrics of one name"),
        (row(metrics='{ { "m" } }'), "metric without unit or summary"),
    ],
)
def test_registry_names_the_fault(tmp_path: Path, source: str, sentence: str) -> None:
    fault = compile_engine(tmp_path, GOOD + source).fault()
    assert fault is not None and sentence in fault
    assert "kernels_under_test.c" in fault


def test_registry_finds_all_kernels_of_all_files(engine: Engine) -> None:
    assert engine.fault() is None
    assert engine.lib.registry_count() == KERNELS.read_text().count("\nKERNEL(")
    assert engine.lib.registry_get(engine.lib.registry_count()) == engine.ffi.NULL


def test_no_kernels_is_an_empty_catalogue(tmp_path: Path) -> None:
    empty = compile_engine(tmp_path, "")
    assert empty.lib.registry_count() == 0
    assert empty.fault() is None


def test_loop_gives_a_row_per_batch_and_thread(engine: Engine) -> None:
    cpu = min(os.sched_getaffinity(0))
    got = engine.trial("test/good", cpus=[cpu], batches=5)
    assert got.status == 0, got.reason
    assert [(s.batch, s.thread) for s in got.samples] == [(i, 0) for i in range(5)]
    assert {s.operations for s in got.samples} == {got.samples[0].operations}
    assert all(s.ticks > got.outcome.overhead_ticks for s in got.samples)
    assert all(s.overlap == 1 for s in got.samples)
    assert {(s.cpu_begin, s.cpu_end) for s in got.samples} == {(cpu, cpu)}
    begins = [s.begin_ticks for s in got.samples]
    assert begins == sorted(begins) and begins[0] > 0


def test_operations_grow_with_the_batch(engine: Engine) -> None:
    # A thousand times as long: far more than what a CPU may become slower by between the two.
    short = engine.trial("test/good", batch_ns=30_000).samples[0].operations
    long = engine.trial("test/good", batch_ns=30_000_000).samples[0].operations
    assert long > 3 * short


def test_a_batch_comes_in_whole_granules(engine: Engine) -> None:
    got = engine.trial("test/granule")
    assert all(s.operations % 13 == 0 for s in got.samples)


def test_setup_may_specialise_the_loop(engine: Engine) -> None:
    assert engine.trial("test/special").status == 0


def test_metrics_are_nan_until_set(engine: Engine) -> None:
    got = engine.trial("test/granule")
    assert got.outcome.metric[0] == 42
    assert math.isnan(got.outcome.metric[1])


def test_failed_check_fails_the_case_with_its_words(engine: Engine) -> None:
    got = engine.trial("test/wrong")
    assert got.status < 0
    assert got.reason == "check failed: two and two are 5"
    assert got.samples == []


def test_failed_setup_names_the_error(engine: Engine) -> None:
    got = engine.trial("test/error")
    assert got.status < 0
    assert got.reason.startswith("setup failed: ") and os.strerror(5) in got.reason


@pytest.mark.parametrize(("name", "need"), [("test/lacking", "needs a unicorn"), ("test/foreign", "CPU")])
def test_unsupported_names_the_need(engine: Engine, name: str, need: str) -> None:
    got = engine.trial(name)
    assert got.status == -95  # ENOTSUP
    assert got.reason.startswith("needs ") and need in got.reason


@pytest.mark.parametrize(("name", "reason"), [("test/past", "past the end"), ("test/before", "before the start")])
def test_canaries_catch_a_write_outside_the_buffer(engine: Engine, name: str, reason: str) -> None:
    got = engine.trial(name)
    assert got.status == -14  # EFAULT
    assert reason in got.reason


def test_canaries_let_the_whole_buffer_be_used(engine: Engine) -> None:
    assert engine.trial("test/within").status == 0


def test_memory_is_zeroed_aligned_and_the_first_is_the_state(engine: Engine) -> None:
    got = engine.trial("test/memory")
    assert got.status == 0, got.reason


def test_page_faults_in_the_window_are_flagged(engine: Engine) -> None:
    got = engine.trial("test/fault")
    assert all(s.minor_faults >= 1 and s.flags & engine.lib.FLAG_FAULTED for s in got.samples)


def test_sleep_in_the_window_is_flagged(engine: Engine) -> None:
    got = engine.trial("test/nap")
    assert all(bool(s.flags & engine.lib.FLAG_SWITCHED) == (s.voluntary + s.involuntary > 0) for s in got.samples)
    # Not of all: where the host takes the CPU just before the sleep, its time may be over before it begins.
    assert any(s.voluntary >= 1 for s in got.samples)


MIGRATED, SWITCHED, FAULTED = 1, 2, 4


@pytest.mark.parametrize(
    ("kernel", "flagged"),
    [
        ("test/about_faults", {MIGRATED, SWITCHED}),
        ("test/about_hops", {FAULTED}),
        ("test/about_all", set()),
        ("test/uneasy", {FAULTED}),  # an event may sleep
    ],
)
def test_what_a_kernel_is_about_flags_no_batch(engine: Engine, kernel: str, flagged: set[int]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        flagged = flagged - {MIGRATED}
    got = engine.trial(kernel, batches=5)
    assert got.status == 0, got.reason
    # Of all together: the host may have taken the CPU just before a sleep, whose time is over then before it begins.
    seen = {flag for sample in got.samples for flag in (MIGRATED, SWITCHED, FAULTED) if sample.flags & flag}
    assert seen == flagged
    assert any(sample.minor_faults for sample in got.samples) and any(sample.voluntary for sample in got.samples)


def test_team_runs_all_operations_on_the_asked_cpus(engine: Engine) -> None:
    """With one CPU in the mask two threads share it: the engine does not mind, and nothing is lost."""
    allowed = sorted(os.sched_getaffinity(0))
    cpus = [allowed[0], allowed[-1]]
    before = threads()
    got = engine.trial("test/pair", cpus=cpus, batches=2)
    assert got.status == 0, got.reason
    assert [(s.batch, s.thread) for s in got.samples] == [(b, t) for b in range(2) for t in range(2)]
    assert [s.cpu_begin for s in got.samples] == cpus * 2
    assert all(0 <= s.overlap <= 1 for s in got.samples)
    assert got.outcome.metric[0] >= sum(s.operations for s in got.samples)
    if cpus[0] != cpus[1]:  # where a CPU is shared, taking turns is no reason for a flag
        low = {bool(s.flags & engine.lib.FLAG_LOW_OVERLAP) == (s.overlap < 0.5) for s in got.samples}
        assert low == {True}
    expect_no_thread_more_than(before)


def test_raw_round_trip_stands_beside_every_team_on_cpus_of_its_own(engine: Engine) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("needs 2 CPUs, this process may use 1")
    got = engine.trial("test/pair", cpus=allowed[:2])
    before, after = got.outcome.raw_before_ticks, got.outcome.raw_after_ticks
    assert before > 0 and after > 0
    drifted = not 1 / 1.35 <= after / before <= 1.35
    assert {bool(s.flags & engine.lib.FLAG_HAND_OVER_DRIFT) for s in got.samples} == {drifted}


def test_no_raw_round_trip_where_there_is_none(engine: Engine) -> None:
    cpu = min(os.sched_getaffinity(0))
    for cpus in ([cpu], [cpu, cpu]):
        got = engine.trial("test/pair", cpus=cpus)
        assert got.status == 0, got.reason
        assert math.isnan(got.outcome.raw_before_ticks) and math.isnan(got.outcome.raw_after_ticks)
        assert not any(s.flags & engine.lib.FLAG_HAND_OVER_DRIFT for s in got.samples)


def test_cpu_outside_the_mask_is_refused_and_no_thread_stays(engine: Engine) -> None:
    before = threads()
    outside = max(os.sched_getaffinity(0)) + 1
    got = engine.trial("test/good", cpus=[outside])
    assert got.status < 0
    assert got.reason == f"CPU {outside} is outside this process's CPU mask"
    expect_no_thread_more_than(before)


def test_mask_is_honoured_even_where_the_system_would_allow_more(engine: Engine) -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs 2 CPUs, this process may use 1")
    one, other = sorted(allowed)[:2]
    os.sched_setaffinity(0, {one})
    try:
        got = engine.trial("test/good", cpus=[other])
    finally:
        os.sched_setaffinity(0, allowed)
    assert got.status < 0 and "outside this process's CPU mask" in got.reason


def test_wrong_number_of_threads_is_refused(engine: Engine) -> None:
    cpu = min(os.sched_getaffinity(0))
    got = engine.trial("test/good", cpus=[cpu] * 3)
    assert got.status < 0 and "3 threads asked for, the kernel takes 1 to 2" in got.reason


@pytest.mark.parametrize("value", [-1, 2, 1 << 40])
def test_label_out_of_range_is_refused(engine: Engine, value: int) -> None:
    got = engine.trial("test/labels", (value,))
    assert got.status < 0 and "parameter kind has 2 labels" in got.reason


def test_error_in_events_stops_the_whole_team(engine: Engine) -> None:
    before = threads()
    cpu = min(os.sched_getaffinity(0))
    got = engine.trial("test/broken", cpus=[cpu, cpu])
    assert got.status == -33  # EDOM
    assert got.reason.startswith("measuring failed: ")
    expect_no_thread_more_than(before)


def test_whoever_fails_in_a_control_takes_the_team_along(engine: Engine) -> None:
    before = threads()
    cpu = min(os.sched_getaffinity(0))
    got = engine.trial("test/broken_control", cpus=[cpu, cpu])
    assert got.status == -33  # EDOM
    assert got.reason.startswith("measuring the control failed: ")
    expect_no_thread_more_than(before)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-1000, 2000), min_size=1, max_size=5000))
def test_histogram_of_few_values_is_exact(engine: Engine, values: list[int]) -> None:
    engine.lib.test_count = len(values)
    engine.lib.test_values[0 : len(values)] = values
    got = engine.trial("test/given")
    assert got.status == 0, got.reason
    assert got.buckets == sorted(Counter(values).items())
    assert got.outcome.events == len(values)
    first = sorted(values[:1000])
    middle = (first[(len(first) - 1) // 2] + first[len(first) // 2]) / 2
    assert abs(got.samples[0].ticks - middle) <= 0.5 and got.samples[0].operations == 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((0, 1 << 39)))
def test_histogram_of_many_values_is_rounded_but_complete(engine: Engine, seed: int, down: int) -> None:
    values = [(i * 2654435761 + seed) % (1 << 40) - down for i in range(20000)]
    engine.lib.test_count = len(values)
    engine.lib.test_values[0 : len(values)] = values
    got = engine.trial("test/given")
    assert len(got.buckets) <= engine.lib.MAX_BUCKETS
    assert sum(count for _, count in got.buckets) == len(values)
    expanded = [ticks for ticks, count in got.buckets for _ in range(count)]
    for exact, rounded in zip(sorted(values), expanded, strict=True):
        assert rounded <= exact and exact - rounded <= abs(exact) / 128


def test_no_events_is_no_row(engine: Engine) -> None:
    engine.lib.test_count = 0
    got = engine.trial("test/given")
    assert got.status == 0
    assert got.samples == [] and got.buckets == [] and got.outcome.events == 0


def resident_bytes(address: int) -> int:
    """How much of the mapping at `address` is in memory; 0 where nothing is mapped."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        span = line.split(" ", 1)[0]
        if "-" in span and not span.endswith(":"):
            low, high = (int(end, 16) for end in span.split("-"))
            inside = low <= address < high
        elif inside and line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    return 0


def test_a_large_mapping_goes_to_the_next_case_zeroed_where_that_is_wanted(engine: Engine) -> None:
    first = engine.trial("test/large", keep_memory=True)
    assert first.status == 0, first.reason
    where = int(first.outcome.metric[0])
    assert resident_bytes(where) >= 128 << 20, "kept for the next"
    again = engine.trial("test/large", keep_memory=True)
    assert again.status == 0, again.reason
    assert int(again.outcome.metric[0]) == where
    assert resident_bytes(where) >= 128 << 20
    engine.lib.memory_give_back()
    assert resident_bytes(where) == 0
    own = engine.trial("test/large")
    assert own.status == 0, own.reason
    assert resident_bytes(int(own.outcome.metric[0])) == 0, "sides of a comparison leave nothing to each other"


def test_the_clock_is_read_once_between_two_cases_that_follow_each_other(engine: Engine) -> None:
    def read_once(pause_s: float) -> bool:
        before = engine.trial("test/good", batches=1).outcome.core_hz_after
        if math.isnan(before):
            pytest.skip("no chain for this architecture")
        time.sleep(pause_s)
        return bool(before == engine.trial("test/good", batches=1).outcome.core_hz_before)

    # Until it is seen: whoever takes this CPU for a millisecond makes the engine read the clock anew, as it should; and
    # two readings may agree by chance, in whole steps of the counter.
    wait_for(lambda: read_once(0.0))
    wait_for(lambda: not read_once(0.005))


def test_clock_facts_are_consistent(engine: Engine) -> None:
    facts = engine.ffi.new("struct clock_facts *")
    engine.lib.clock_measure(facts)
    assert facts.tick_hz > 0 and facts.quantum_ticks >= 1
    assert facts.overhead_ticks >= 0 and facts.tick_hz_error_ppm > 0
    # Every difference of two readings is a multiple of the quantum.
    assert (facts.overhead_ticks * 2) % facts.quantum_ticks == 0


def test_perf_events_are_named_and_judged_by_a_known_workload(engine: Engine) -> None:
    facts = engine.ffi.new("struct perf_fact[16]")
    count = engine.lib.perf_probe(facts, 16)
    found = {engine.ffi.string(facts[i].name).decode(): facts[i] for i in range(count)}
    assert {"cycles", "branch-misses", "page-faults", "context-switches"} <= set(found)
    faults = found["page-faults"]
    if faults.error == 0:  # software events count wherever they open
        assert faults.count >= faults.expect > 0


def test_every_capability_has_a_name(engine: Engine) -> None:
    names = {engine.ffi.string(engine.lib.capability_text(1 << i)).decode() for i in range(engine.lib.CAPABILITY_COUNT)}
    assert len(names) == engine.lib.CAPABILITY_COUNT
    assert not any("unknown" in name for name in names)


def test_the_example_of_the_house_is_a_kernel(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs 2 CPUs, this process may use 1")
    engine = compile_files(tmp_path, [EXEMPLAR])
    assert engine.fault() is None
    got = engine.trial("line/baton", cpus=sorted(os.sched_getaffinity(0))[:2])
    assert got.status == 0, got.reason
