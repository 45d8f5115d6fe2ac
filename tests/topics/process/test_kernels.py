"""process/spawn: every child ends with its own status, and what is not there to be measured is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine, compile_files
from kernels.measure import EILSEQ, ENOTSUP, measure
from kernels.plant import KERNELS, compile_broken

SPAWN = "process/spawn.c"
SWITCHED, FAULTED = 2, 4


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_files(tmp_path_factory.mktemp("process"), [KERNELS / SPAWN])


@pytest.mark.parametrize("how", ["fork", "vfork", "thread"])
def test_children_are_made_and_waited_for(engine: Engine, how: str) -> None:
    measured = measure(engine, "process/spawn", {"how": how})
    assert measured.status == 0, measured.reason
    metrics = measured.metrics
    assert measured.outcome.events == len(measured.samples) == 10
    assert all(ticks > 0 for ticks, _ in measured.buckets)
    assert metrics["returned_ns"] > 0
    assert metrics["resident_mib"] > 1
    if how == "vfork":
        assert metrics["waited_pct"] == 100, "the parent stands still until the child leaves"


def test_its_faults_are_no_disturbance(engine: Engine) -> None:
    measured = measure(engine, "process/spawn", {"how": "fork"})
    assert any(sample.minor_faults for sample in measured.samples), "a fork leaves the parent's stack to be copied"
    assert not any(sample.flags & (FAULTED | SWITCHED) for sample in measured.samples)


def test_touched_memory_is_there_when_children_are_made(engine: Engine) -> None:
    resident = []
    for touched in (0, 32 << 20):
        measured = measure(engine, "process/spawn", {"how": "vfork", "touched": touched})
        resident.append(measured.metrics["resident_mib"])
    assert resident[1] - resident[0] > 24


@pytest.mark.parametrize("touched", [-1, (1 << 30) + 1])
def test_other_amounts_are_refused(engine: Engine, touched: int) -> None:
    measured = measure(engine, "process/spawn", {"touched": touched})
    assert measured.status not in (0, ENOTSUP)
    assert f"touched={touched}" in measured.reason


@pytest.mark.parametrize(
    ("how", "whole", "broken"),
    [
        ("fork", "fork();\n\n    if (child == 0) {\n        work(desk);\n        _exit(status);", "_exit(0);"),
        ("vfork", "vfork();\n\n    if (child == 0) {\n        work(desk);\n        _exit(status);", "_exit(0);"),
        ("thread", "return (void *)(intptr_t)order->status;", "return NULL;"),
    ],
)
def test_a_child_that_ends_otherwise_fails_the_case(tmp_path: Path, how: str, whole: str, broken: str) -> None:
    if how != "thread":
        whole = f"child = {whole}"
        broken = whole.replace("_exit(status);", broken)
    faulty = compile_broken(tmp_path, {SPAWN: [(whole, broken)]})
    measured = measure(faulty, "process/spawn", {"how": how})
    assert measured.status == EILSEQ
    assert "did not end with their own status" in measured.reason


def test_no_room_for_a_process_is_a_need_and_not_a_failure(tmp_path: Path) -> None:
    refused = [("const pid_t child = fork();", "const pid_t child = (errno = EAGAIN, -1);")]
    faulty = compile_broken(tmp_path, {SPAWN: refused})
    measured = measure(faulty, "process/spawn", {"how": "fork"})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission for one more process")
