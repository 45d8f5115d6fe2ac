"""schedule/preempt, schedule/migrate and schedule/rebalance: what they do, and the faults that are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine, Measured
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, first_that, measure
from kernels.plant import compile_broken
from topics.schedule.left import manners

PREEMPT, MIGRATE, BALANCE = "schedule/preempt.c", "schedule/migrate.c", "schedule/rebalance.c"
VICTIMS = ["nobody", "user", "getppid", "read", "munmap", "fork", "fsync"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before, files = manners(), set(Path("/proc/self/fd").iterdir())
    yield
    assert manners() == before
    assert set(Path("/proc/self/fd").iterdir()) <= files


def done(measured: Measured) -> Measured:
    """Measured without a fault, where the machine allows it."""
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    return measured


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_thread_wakes_over_each_victim(engine: Engine, victim: str) -> None:
    measured = done(measure(engine, "schedule/preempt", {"victim": victim}))
    assert measured.outcome.events == 10
    assert (measured.metrics["call_ns"] > 0) == (victim != "nobody")


@pytest.mark.parametrize("touched", [0, 4096, 1 << 20])
def test_a_thread_goes_and_comes_back(engine: Engine, touched: int) -> None:
    measured = done(measure(engine, "schedule/migrate", {"touched": touched}))
    assert [(count.found, count.expected) for count in measured.outcome.count[0:2]] == [(24, 24), (24, 24)]
    assert measured.metrics["hop_ns"] > 0 and measured.metrics["footprint_bytes"] == touched


@pytest.mark.parametrize("to", ["sibling", "node"])
def test_a_cpu_that_is_not_there_is_a_need(engine: Engine, to: str) -> None:
    measured = measure(engine, "schedule/migrate", {"to": to})
    assert measured.status in (0, ENOTSUP), measured.reason
    if measured.status:
        assert "that may be used" in measured.reason


@pytest.mark.parametrize("spinners", ["two", "three", "pinned"])
def test_spinners_share_two_cpus(engine: Engine, spinners: str) -> None:
    values: dict[str, str | int] = {"spinners": spinners, "window_ms": 30}
    # A busy machine may leave them nothing of such a short window.
    measured = done(
        first_that(lambda found: found.status != EILSEQ, lambda: measure(engine, "schedule/rebalance", values), tries=5)
    )
    assert 0 < measured.metrics["had_pct"] < 106


@pytest.mark.parametrize(
    ("kernel", "values", "said"),
    [
        ("schedule/migrate", {"touched": -64}, "touched=-64 is not"),
        ("schedule/migrate", {"touched": 100}, "touched=100 is not"),
        ("schedule/rebalance", {"window_ms": 0}, "window_ms=0 is not 1 to"),
    ],
    ids=["negative", "no lines", "no window"],
)
def test_impossible_values_are_refused(engine: Engine, kernel: str, values: dict[str, str | int], said: str) -> None:
    measured = measure(engine, kernel, values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EINVAL
    assert said in measured.reason


@pytest.mark.parametrize(
    ("file", "kernel", "whole", "broken", "said"),
    [
        (PREEMPT, "preempt", "return product & 1;", "return 0;", "the victim could not do its work"),
        (
            PREEMPT,
            "preempt",
            "        if (!act(victim, memory, file))",
            "        if (atomic_load(&desk->turns) >= 2)\n            pause();\n if (!act(victim, memory, file))",
            "the victim made no turn and used no CPU time meanwhile",
        ),
        (
            MIGRATE,
            "migrate",
            "status = run_on(&to, 1);",
            "status = run_on(&desk->cpus[0], 1);",
            "count there: 12 calls instead of 24",
        ),
        (
            MIGRATE,
            "migrate",
            "i < desk->lines; i++) {\n        line = line->next;",
            "i + 1 < desk->lines; i++) {\n        line = line->next;",
            "count whole",
        ),
        (MIGRATE, "migrate", "next_random(&state) % i", "next_random(&state) % (i + 1)", "was left out of a walk"),
        (BALANCE, "rebalance", "spun, CPUS)", "spun, 0)", "the spinners had"),
    ],
    ids=["victim", "a victim that stops", "no move", "a shorter walk", "several cycles", "beyond the window"],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, kernel: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    values: dict[str, str | int] = {"touched": 65536} if kernel == "migrate" else {}
    measured = measure(faulty, f"schedule/{kernel}", values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason
