"""Rows of the rings between two threads: every item, in order, by every design; faults that each check catches."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, SHARING, TRIES, built_engine, kernel
from kernels.plant import compile_broken

DESIGNS = ("spsc", "naive", "cached", "seq_cst", "mutex_spin", "mutex_condvar", "pipe", "eventfd")
TEAMS = [SHARING, *([CPUS[:2]] if len(CPUS) > 1 else [])]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_designs_are_those_with_rows_of_their_own() -> None:
    for name in ("ring/latency", "ring/regime", "ring/one_cpu", "ring/one_cpu_spin"):
        assert tuple(kernel(name).parameter("design").labels) == DESIGNS
    for name in DESIGNS:
        assert kernel(f"ring/{name}").unit == "item"
        assert kernel(f"ring/{name}_round_trip").unit == "round trip"


ROWS = (
    "batched",
    "seq_cst",
    "naive_round_trip",
    "seq_cst_round_trip",
    "mutex_spin",
    "spin_lock",
    "mutex_condvar",
    "mutex_condvar_round_trip",
    "pipe",
    "eventfd",
    "pipe_round_trip",
    "eventfd_round_trip",
)


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
@pytest.mark.parametrize("row", ROWS)
def test_every_item_comes_through(engine: Engine, row: str, cpus: list[int]) -> None:
    for capacity, size, batch in ((1, 8, 1), (3, 64, 8), (1024, 8, 32), (64, 256, 32)):
        batch = 1 if "round_trip" in row else batch
        measured = engine.trial(f"ring/{row}", (capacity, size, batch, 1), cpus, batches=1, batch_ns=5000)
        assert measured.status == 0, f"{capacity} {size} {batch}: {measured.reason}"


def test_who_sleeps_by_design_is_not_disturbed_by_it(engine: Engine) -> None:
    """On one CPU a round trip over pipes switches context each time, and no batch is flagged for that."""
    for name in ("pipe", "eventfd", "pipe_round_trip", "eventfd_round_trip"):
        assert engine.kernel(f"ring/{name}").subject == engine.lib.FLAG_SWITCHED
    # Two threads on two CPUs, where there are two: on one, taking turns flags nothing anyway.
    measured = engine.trial("ring/pipe_round_trip", (1024, 8, 1, 0), TEAMS[-1], batches=5)
    assert measured.status == 0, measured.reason
    assert not any(sample.flags & engine.lib.FLAG_SWITCHED for sample in measured.samples)


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
@pytest.mark.parametrize("design", range(len(DESIGNS)), ids=DESIGNS.__getitem__)
def test_latency_has_every_item_in_order(engine: Engine, design: int, cpus: list[int]) -> None:
    measured = engine.trial("ring/latency", (design, 1000, 64), cpus, batches=2)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert sum(count for _, count in measured.buckets) == 2 * 256
    assert found["lowest_ticks"] == measured.buckets[0][0]
    assert found["lowest_ticks"] <= found["p50_ticks"] <= found["p99_ticks"] <= found["p99_9_ticks"]
    assert found["p99_9_ticks"] == measured.buckets[-1][0]  # of 512 items, 99.9 % is all of them
    assert 0 <= found["late_pct"] <= 100


def test_a_slow_sender_is_not_left_out_of_the_latency(tmp_path: Path) -> None:
    """Each batch's sender sleeps for 5 ms in the middle: the items due meanwhile are late, not only the next one."""
    waiting = "while ((now = tick_now()) < due)"
    faults = [
        ("#include <stdlib.h>", "#include <stdlib.h>\n#include <unistd.h>"),
        (waiting, f"if (i == RING_LATENCY_WARM + 100) usleep(5000); {waiting}"),
    ]
    engine = compile_broken(tmp_path, {"ring/latency.h": faults})
    measured = engine.trial("ring/latency", (0, 10_000, 1024), TEAMS[-1], batches=1)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    # 156 items remain, 1.56 ms of them due within the stall, the last of which is 3.4 ms late: more than half of all.
    assert found["late_pct"] >= 100 * 150 / 256
    assert found["p50_ticks"] > 256 * 10e-6 * measured.outcome.tick_hz


@pytest.mark.parametrize("gap_ns", [99, 1_000_001])
def test_latency_refuses_other_gaps(engine: Engine, gap_ns: int) -> None:
    assert f"gap_ns={gap_ns}" in engine.trial("ring/latency", (0, gap_ns, 64), SHARING).reason


@pytest.mark.parametrize("cpus", TEAMS, ids=str)
@pytest.mark.parametrize("slowed", [0, 1, 2])
@pytest.mark.parametrize("design", range(len(DESIGNS)), ids=DESIGNS.__getitem__)
def test_regime_accounts_for_every_item(engine: Engine, design: int, slowed: int, cpus: list[int]) -> None:
    for capacity in (1, 64):
        measured = engine.trial("ring/regime", (design, slowed, 100, capacity), cpus, batches=1, batch_ns=5000)
        assert measured.status == 0, measured.reason
        found = measured.metrics
        assert -1 <= found["regime"] <= 1
        assert found["work_ticks"] > 0


@pytest.mark.parametrize("slowed", ["producer", "consumer"])
@pytest.mark.parametrize("design", ["spsc", "naive", "cached", "seq_cst", "mutex_spin"])
def test_only_the_side_that_is_not_slowed_is_refused(engine: Engine, design: str, slowed: str) -> None:
    """A window has a few items of 10 us each (a thousand where both share a CPU). The ring is full or empty when it
    begins and holds many times as many: whoever of the two is kept from its CPU, for however long, the slowed side
    never comes to the other end.
    """
    values = (DESIGNS.index(design), ("producer", "consumer").index(slowed), 10_000, 65_536)
    refused, never = (
        ("empty_per_item", "full_per_item") if slowed == "producer" else ("full_per_item", "empty_per_item")
    )
    for _ in range(TRIES):
        measured = engine.trial("ring/regime", values, TEAMS[-1], batches=1, batch_ns=5000)
        assert measured.status == 0, measured.reason
        found = measured.metrics
        assert found[never] == 0
        if found[refused] > 0:
            return
    pytest.fail("the other side always came late")


def test_a_pipe_that_is_never_empty_never_blocks_a_window(engine: Engine) -> None:
    """A page is given back only when all of it was read: in a pipe of one page, what stays ends the writing."""
    case = (DESIGNS.index("pipe"), 1, 1, 64)
    measured = engine.trial("ring/regime", case, TEAMS[-1], batches=20, batch_ns=5000)
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize("values", [(0, 0, 0, 64), (0, 0, 100_001, 64), (0, 0, 100, 0)])
def test_regime_refuses(engine: Engine, values: tuple[int, ...]) -> None:
    assert "=" in engine.trial("ring/regime", values, SHARING).reason


@pytest.mark.parametrize("design", range(len(DESIGNS)), ids=DESIGNS.__getitem__)
def test_one_cpu_hands_over_whole_laps(engine: Engine, design: int) -> None:
    measured = engine.trial("ring/one_cpu", (16, 8, 1, 1, design), SHARING, batches=1)
    assert measured.status == 0, measured.reason
    assert all(sample.operations % 32 == 0 for sample in measured.samples)


def test_one_cpu_spins_until_the_scheduler_has_had_enough(engine: Engine) -> None:
    measured = engine.trial("ring/one_cpu_spin", (1024, 8, 1, 1, 0), SHARING)
    assert measured.status == 0, measured.reason
    assert all(sample.involuntary > 0 for sample in measured.samples)


FAULTS = {
    # Nobody flushes, and so the last items of a window never come.
    "batched keeps items back": (
        "ring/indices.c", "ring/batched", "#define RING_HAS_FLUSH\n", "#define batched_flush batched_without_flush\n",
        (64, 8, 1, 1),
    ),
    "a latency item is doubled": (
        "ring/latency.h", "ring/latency", "common->side[1].number = number;", "common->side[1].number = number - 1;",
        (0, 1000, 64),
    ),
    "a regime item is changed": (
        "ring/regime.c", "ring/regime", "disorder |= item ^ number;", "disorder |= item ^ 1;", (0, 0, 50, 64),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(name: str, tmp_path: Path) -> None:
    source, row, old, new, values = FAULTS[name]
    measured = compile_broken(tmp_path, {source: [(old, new)]}).trial(row, values, TEAMS[-1], batches=1, batch_ns=5000)
    assert measured.status < 0
    assert "came" in measured.reason
