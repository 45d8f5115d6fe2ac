"""lock/*: nobody inside beside the holder, batches that end whoever holds the lock, and facts about ownership."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine, Measured
from kernels.disassemble import TOOLCHAINS, Toolchain, functions, loops
from kernels.measure import ALONE, ENOTSUP, SHARING, TEAMS, built_engine, first_that, kernel
from kernels.plant import engine_of, expect_no_thread_more_than, threads

LOCKS = ("tas", "ttas", "ticket", "mcs", "pthread_spin", "pthread_mutex", "futex")
SPINNING = LOCKS[:5]
HOLD = "lock/hold"


@pytest.fixture(scope="module")
def hold() -> Engine:
    return built_engine()


@pytest.fixture(scope="module")
def owner() -> Engine:
    return built_engine()


def test_labels_are_the_locks() -> None:
    for name in (HOLD, "lock/oversubscribed"):
        assert tuple(kernel(name).parameter("lock").labels) == LOCKS
        assert kernel(name).place == "sweep"
    assert kernel("lock/oversubscribed").oversubscribe
    assert not kernel(HOLD).oversubscribe


@pytest.mark.parametrize("section_ns", [0, 2000])
@pytest.mark.parametrize("cpus", TEAMS, ids=str)
@pytest.mark.parametrize("lock", LOCKS)
def test_excludes_and_accounts_for_every_section(hold: Engine, lock: str, cpus: list[int], section_ns: int) -> None:
    measured = hold.trial(HOLD, (LOCKS.index(lock), section_ns), cpus, batches=2)
    assert measured.status == 0, measured.reason
    found = measured.metrics
    assert 0 <= found["changes_per_operation"] <= 1
    assert 0 <= found["fairness"] <= 1
    assert (found["section_took_ns"] > 0) == (section_ns > 0)
    # One thread's window is the sample, and what it is divided by is a thread's mean share.
    assert [sample.thread for sample in measured.samples] == [0, 0]
    assert all(sample.operations >= 1 for sample in measured.samples)


@pytest.mark.parametrize("lock", LOCKS)
def test_who_is_alone_never_changes(hold: Engine, lock: str) -> None:
    measured = hold.trial(HOLD, (LOCKS.index(lock), 0), ALONE)
    found = measured.metrics
    assert (found["changes_per_operation"], found["fairness"], found["yields_per_operation"]) == (0, 1, 0)
    assert found["longest_run"] == measured.samples[0].operations


@pytest.mark.parametrize("lock", SPINNING)
def test_spinning_gives_the_cpu_away_to_a_holder_that_waits_for_it(hold: Engine, lock: str) -> None:
    def yielded(measured: Measured) -> bool:
        assert measured.status == 0, measured.reason
        return measured.metrics["yields_per_operation"] > 0

    # Once the scheduler takes the CPU from a holder, which has the lock for nearly all of its time.
    case = (LOCKS.index(lock), 20_000)
    assert yielded(first_that(yielded, lambda: hold.trial(HOLD, case, SHARING, batches=2)))


@pytest.mark.parametrize("lock", ["tas", "ttas", "ticket", "futex"])
def test_lock_without_its_acquire_is_caught(lock: str, tmp_path: Path) -> None:
    nothing = f'#include "kernels/lock/algorithms.h"\n#define acquire_{lock}(locks, me) ((void)0)\n'
    broken = engine_of(tmp_path, "lock/hold.c", ('#include "algorithms.h"\n', nothing))
    # On one CPU: whoever is preempted is inside for nearly all of the time, and so is the other then.
    case = (LOCKS.index(lock), 50_000)
    measured = first_that(
        lambda measured: measured.status < 0,
        lambda: broken.trial(HOLD, case, SHARING, batches=2, batch_ns=100_000),
    )
    assert measured.status < 0
    assert "the counter under the lock shows" in measured.reason


def test_lock_that_miscounts_a_section_is_caught(tmp_path: Path) -> None:
    broken = engine_of(
        tmp_path, "lock/hold.c", ("hold->count = number + 1;", "hold->count = number + 1 + (number == 9);")
    )
    assert "the counter under the lock shows" in broken.trial(HOLD, (0, 0), ALONE).reason


@pytest.mark.parametrize("section_ns", [-1, 1_000_001])
def test_sections_out_of_range_are_refused(hold: Engine, section_ns: int) -> None:
    measured = hold.trial(HOLD, (0, section_ns), ALONE)
    assert measured.status not in (0, ENOTSUP)
    assert f"section_ns={section_ns}" in measured.reason


ATOMICS = {"tas": ["xchg"], "ttas": ["xchg"], "ticket": ["lock xadd"], "mcs": ["xchg", "lock cmpxchg"]}


@pytest.mark.parametrize("toolchain", TOOLCHAINS[:2], ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("lock", ATOMICS)
def test_spin_locks_are_their_atomic_instructions(lock: str, toolchain: Toolchain) -> None:
    if toolchain.arch != "x86_64":
        pytest.skip(f"not looked at on {toolchain.arch}")
    found = functions("lock/hold.c", toolchain)[f"run_{lock}_empty"]
    atomics = [step.mnemonic for step in found if step.mnemonic.startswith(("lock", "xchg")) and "(" in step.operands]
    assert sorted({name.rstrip("blwq") for name in atomics}) == sorted(ATOMICS[lock])


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda toolchain: toolchain.name)
def test_no_loop_calls_through_a_pointer(toolchain: Toolchain) -> None:
    for name, found in functions("lock/hold.c", toolchain).items():
        if name.startswith(("run_", "timed_")):
            for step in (step for loop in loops(found) for step in loop):
                assert not (step.mnemonic.startswith(("call", "jmp")) and "*" in step.operands), f"{name}: {step}"
                assert step.mnemonic not in ("blr", "jalr"), f"{name}: {step}"


UNLOCKS = ("semaphore_own", "semaphore_other", "mutex_own", "mutex_other")


@pytest.mark.parametrize("unlock", UNLOCKS)
def test_only_a_mutex_refuses_another_thread(owner: Engine, unlock: str) -> None:
    before = threads()
    measured = owner.trial("lock/owner", (UNLOCKS.index(unlock),), ALONE)
    assert measured.status == 0, measured.reason
    refused = unlock == "mutex_other"
    assert measured.metrics == {"allowed": not refused, "refused": refused}
    assert sum(count for _, count in measured.buckets) == 4 * 32
    expect_no_thread_more_than(before)


@pytest.mark.parametrize(
    ("unlock", "old", "new", "fault"),
    [
        # Says that it was given back, and keeps it.
        ("mutex_own", "unlock_all, pthread_mutex_unlock(&owner->mutexes[i])", "unlock_all, 0 * i", "could not|failed"),
        ("semaphore_other", "sem_post(&owner->semaphores[i]) ? errno : 0", "i % 2 ? EPERM : 0", "failed"),
    ],
)
def test_owner_notices(unlock: str, old: str, new: str, fault: str, tmp_path: Path) -> None:
    before = threads()
    broken = engine_of(tmp_path, "lock/owner.c", (old, new))
    measured = broken.trial("lock/owner", (UNLOCKS.index(unlock),), ALONE)
    assert measured.status < 0
    assert any(part in measured.reason for part in fault.split("|")), measured.reason
    expect_no_thread_more_than(before)
