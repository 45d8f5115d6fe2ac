"""lock/wait, lock/brief_wait: nobody gets in before the lock is given back. Processor time is what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, EILSEQ, EINVAL, built_engine, measure
from kernels.plant import engine_of

WAIT = "lock/wait.c"

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("by", ["semaphore", "mutex", "spin", "yield"])
def test_a_wait_lasts_as_long_as_the_lock_is_held(engine: Engine, by: str) -> None:
    measured = measure(engine, "lock/wait", {"by": by, "held_ms": 2}, cpus=CPUS[:2])
    assert measured.status == 0, measured.reason
    assert measured.metrics["waited_ms"] >= 2
    # A thread cannot use more than all of its time, but for the steps of the two clocks.
    assert 0 < measured.metrics["used_pct"] < 105


@pytest.mark.parametrize("by", ["semaphore", "mutex", "spin", "yield"])
def test_a_brief_wait_is_spent_and_given_back(engine: Engine, by: str) -> None:
    measured = measure(engine, "lock/brief_wait", {"by": by, "held_us": 50}, cpus=CPUS[:2])
    assert measured.status == 0, measured.reason
    assert measured.metrics["waited_ns"] >= 50_000
    assert measured.metrics["spent_ns"] > 0


@pytest.mark.parametrize("held", [0, -1, 1001])
def test_impossible_brief_holds_are_refused(engine: Engine, held: int) -> None:
    measured = measure(engine, "lock/brief_wait", {"held_us": held}, cpus=CPUS[:2])
    assert measured.status == EINVAL
    assert f"held_us={held} is not 1 to 1000" in measured.reason


@pytest.mark.parametrize("held", [0, -1, 1001])
def test_impossible_holds_are_refused(engine: Engine, held: int) -> None:
    measured = measure(engine, "lock/wait", {"held_ms": held}, cpus=CPUS[:2])
    assert measured.status == EINVAL
    assert f"held_ms={held} is not 1 to 1000" in measured.reason


@pytest.mark.parametrize(
    ("by", "whole", "broken", "said"),
    [
        # A lock that lets anybody in, and calls that fail.
        ("semaphore", "sem_init(&queue->semaphore, 0, 1)", "sem_init(&queue->semaphore, 0, 2)", "ended before"),
        ("spin", "return -pthread_spin_lock(&queue->spin);", "return 0;", "ended before"),
        ("mutex", "-pthread_mutex_unlock(&queue->mutex)", "pthread_mutex_unlock(&queue->mutex) - 1", "calls failed"),
    ],
)  # fmt: skip
def test_who_gets_in_too_early_fails(tmp_path: Path, by: str, whole: str, broken: str, said: str) -> None:
    faulty = engine_of(tmp_path, WAIT, (whole, broken))
    measured = measure(faulty, "lock/wait", {"by": by, "held_ms": 2}, cpus=CPUS[:2])
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason
