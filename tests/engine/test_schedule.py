"""Scheduling of workers: as setup asked for during the batches, as it was found before and afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from engine.build import Engine, Measured, compile_files
from kernels.plant import expect_no_thread_more_than, threads

KERNELS = Path(__file__).with_name("schedules.c")
HOW = ("other", "batch", "idle", "nicer", "fifo", "rr", "deadline")
NEEDS = {"nicer": "NEED_NICE", "fifo": "NEED_FIFO", "rr": "NEED_FIFO", "deadline": "NEED_DEADLINE"}
ENOTSUP, EINVAL, EILSEQ = -95, -22, -84


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_files(tmp_path_factory.mktemp("schedule"), [KERNELS])


def has(engine: Engine, need: str) -> bool:
    return bool(engine.lib.capabilities() & getattr(engine.lib, need))


@pytest.mark.parametrize("how", HOW)
def test_a_worker_is_scheduled_as_asked_for_and_then_as_it_was(engine: Engine, how: str) -> None:
    got = engine.trial("schedule/asked", (HOW.index(how),))
    if how in NEEDS and not has(engine, NEEDS[how]):
        assert got.status == ENOTSUP
        return
    if how in ("batch", "idle") and not has(engine, "NEED_NICE"):
        pytest.skip("needs permission to leave SCHED_IDLE again")
    assert got.status == 0, got.reason
    policy, nice, priority, slack, cpus = got.outcome.metric[0:5]
    assert policy == {"batch": 3, "idle": 5, "fifo": 1, "rr": 2, "deadline": 6}.get(how, 0)
    assert nice == (-3 if how == "nicer" else 0)
    assert priority == {"fifo": 7, "rr": 8}.get(how, 0)
    if how == "other":
        assert slack == 1000
    if how == "deadline":
        assert cpus >= len(os.sched_getaffinity(0)), "the kernel does not take a pinned thread"
        assert not any(sample.flags & engine.lib.FLAG_MIGRATED for sample in got.samples)
    else:
        assert cpus == 1


@pytest.mark.parametrize(
    ("name", "value", "status", "words"),
    [
        ("nobody", 0, EINVAL, "there is no worker 1"),
        ("impossible", 0, EINVAL, "cannot run worker 0 with SCHED_FIFO"),
        ("leaver", 0, EILSEQ, "worker 0 was left with SCHED_BATCH"),
        ("leaver", 1, EILSEQ, "worker 0 was left with SCHED_OTHER, priority 0, nice "),
        ("leaver", 2, EILSEQ, "timer slack of 1234 ns"),
    ],
)
def test_what_cannot_be_or_was_left_is_named(engine: Engine, name: str, value: int, status: int, words: str) -> None:
    if name == "impossible" and not has(engine, "NEED_FIFO"):
        pytest.skip("needs permission for SCHED_FIFO")
    before = threads()
    got = engine.trial(f"schedule/{name}", (value,))
    assert got.status == status and words in got.reason, got.reason
    expect_no_thread_more_than(before)


def test_a_real_time_worker_waits_asleep_for_one_that_is_not(engine: Engine) -> None:
    """On one CPU a yield would never let the other come: this would hang."""
    if not has(engine, "NEED_FIFO"):
        pytest.skip("needs permission for SCHED_FIFO")
    cpu = min(os.sched_getaffinity(0))
    assert engine.trial("schedule/mixed", cpus=[cpu, cpu], batches=20).status == 0


def in_child(work: Callable[[], Measured]) -> tuple[int, str]:
    """Status and reason of a case measured in a child that has lost all privileges."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            got = work()
            os.write(writing, json.dumps((got.status, got.reason)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    status, reason = json.loads(said)
    return int(status), str(reason)


@pytest.mark.parametrize(("how", "word"), [("nicer", "nice"), ("fifo", "SCHED_FIFO"), ("deadline", "SCHED_DEADLINE")])
def test_a_missing_permission_is_a_need(tmp_path: Path, how: str, word: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give it up")
    # Of its own: an engine asks once what it may do, and this process may do more.
    engine = compile_files(tmp_path, [KERNELS])
    status, reason = in_child(lambda: engine.trial("schedule/asked", (HOW.index(how),)))
    assert status == ENOTSUP
    assert reason.startswith("needs permission for ") and word in reason


def test_without_permission_a_thread_is_not_forced_back(tmp_path: Path) -> None:
    """A higher nice value and SCHED_IDLE cannot be undone without it; the thread ends with its case."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give it up")
    engine = compile_files(tmp_path, [KERNELS])
    status, reason = in_child(lambda: engine.trial("schedule/asked", (HOW.index("other"),)))
    assert status == 0, reason
