"""process/spawn: every child ends with its own status, and what is not there to be measured is said."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine, Measured
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from runs.measure import wait_for

SPAWN = "process/spawn.c"
SMALL = "small_process.h"
SWITCHED, FAULTED = 2, 4
PARENTS = ("small", "interpreter")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("how", ["fork", "vfork", "thread"])
def test_children_are_made_and_waited_for(engine: Engine, how: str, parent: str) -> None:
    measured = measure(engine, "process/spawn", {"how": how, "parent": parent})
    assert measured.status == 0, measured.reason
    metrics = measured.metrics
    assert measured.outcome.events == len(measured.samples) == 10
    assert all(ticks > 0 for ticks, _ in measured.buckets)
    assert metrics["returned_ns"] > 0
    assert metrics["resident_mib"] > 0
    if how == "vfork":
        assert metrics["waited_pct"] == 100, "the parent stands still until the child leaves"


def test_its_faults_are_no_disturbance(engine: Engine) -> None:
    measured = measure(engine, "process/spawn", {"how": "fork", "parent": "interpreter"})
    assert any(sample.minor_faults for sample in measured.samples), "a fork leaves the parent's stack to be copied"
    assert not any(sample.flags & (FAULTED | SWITCHED) for sample in measured.samples)


@pytest.mark.parametrize("parent", PARENTS)
def test_touched_memory_is_there_when_children_are_made(engine: Engine, parent: str) -> None:
    resident = []
    for touched in (0, 32 << 20):
        measured = measure(engine, "process/spawn", {"how": "vfork", "touched": touched, "parent": parent})
        resident.append(measured.metrics["resident_mib"])
    assert resident[1] - resident[0] > 24


@pytest.mark.parametrize("touched", [-1, (1 << 30) + 1])
def test_other_amounts_are_refused(engine: Engine, touched: int) -> None:
    measured = measure(engine, "process/spawn", {"touched": touched})
    assert measured.status not in (0, ENOTSUP)
    assert f"touched={touched}" in measured.reason


def test_the_small_process_has_nothing_of_the_interpreters(engine: Engine) -> None:
    """This process has at least the packages in memory that tests are written with."""
    resident = {
        parent: measure(engine, "process/spawn", {"how": "vfork", "parent": parent}).metrics["resident_mib"]
        for parent in PARENTS
    }
    assert resident["small"] < 4 < resident["interpreter"]


@pytest.fixture
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


def broken_small(folder: Path, file: str, whole: str, broken: str) -> Measured:
    """The case of a small process with a fault planted in it."""
    return measure(compile_broken(folder, {SPAWN: [], file: [(whole, broken)]}), "process/spawn", {"how": "fork"})


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("parent", PARENTS)
def test_nothing_is_left_behind(engine: Engine, parent: str) -> None:
    assert measure(engine, "process/spawn", {"how": "fork", "parent": parent}).status == 0


SERVED = "birth = one_child(wish.how, desk, wish.status);"


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize(
    ("ending", "said"),
    [("kill(getpid(), SIGKILL);", "was ended by signal 9"), ("_exit(3);", "left with status 3")],
    ids=["killed", "left"],
)
def test_a_small_process_that_dies_is_a_failure_and_no_hang(tmp_path: Path, ending: str, said: str) -> None:
    measured = broken_small(tmp_path, SPAWN, SERVED, f"{{ {SERVED} if (wish.status == 5) {ending} }}")
    assert measured.status == EILSEQ
    assert measured.reason == f"measuring failed: the small process {said}"


STALE = 'if (pwrite(copy, "", 1, (off_t)place.segment->p_offset) == 1)'


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize(
    ("whole", "broken", "need"),
    [
        ("execve(arguments[0], arguments, environment);", "errno = EACCES;", "permission to execute a file in memory"),
        ("memfd_create(name, MFD_CLOEXEC | MFD_EXEC)", "(errno = EACCES, -1)", "permission to execute"),
        ("getauxval(AT_BASE)", "(uintptr_t)0", "a dynamic loader"),
        ("status = make_program(", f"{STALE} status = make_program(", "the engine's file as it was when it was loaded"),
        (
            "small->pid = environment ? fork() : -1;",
            "small->pid = (errno = EAGAIN, -1);",
            "permission for one more process",
        ),
    ],
    ids=["exec", "memfd", "static", "rebuilt", "fork"],
)
def test_where_there_can_be_no_small_process_that_is_a_need(tmp_path: Path, whole: str, broken: str, need: str) -> None:
    measured = broken_small(tmp_path, SMALL, whole, broken)
    assert measured.status == ENOTSUP
    assert measured.reason.startswith(f"needs {need}")


def test_a_small_process_dies_with_the_engine(tmp_path: Path) -> None:
    """Killed while the process stands still: what it waits for never comes, and the socket is not what ends it."""
    stands = f'{{ FILE *pid = fopen("{tmp_path}/pid", "w"); fprintf(pid, "%d", getpid()); fclose(pid); pause(); }}'
    faulty = compile_broken(tmp_path, {SPAWN: [(SERVED, f"{{ {SERVED} if (wish.status == 3) {stands} }}")]})
    engine = os.fork()
    if engine == 0:
        measure(faulty, "process/spawn", {"how": "fork"})
        os._exit(1)
    small = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    os.kill(engine, signal.SIGKILL)
    assert os.waitpid(engine, 0)[1] == signal.SIGKILL
    wait_for(lambda: is_gone(small))


def is_gone(pid: str) -> bool:
    """Whether a process has ended, though nobody may have reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize(
    ("how", "whole", "broken"),
    [
        ("fork", "fork();\n\n    if (child == 0) {\n        work(desk);\n        _exit(status);", "_exit(0);"),
        ("vfork", "vfork();\n\n    if (child == 0) {\n        work(desk);\n        _exit(status);", "_exit(0);"),
        ("thread", "return (void *)(intptr_t)order->status;", "return NULL;"),
    ],
)
def test_a_child_that_ends_otherwise_fails_the_case(
    tmp_path: Path, how: str, whole: str, broken: str, parent: str
) -> None:
    if how != "thread":
        whole = f"child = {whole}"
        broken = whole.replace("_exit(status);", broken)
    faulty = compile_broken(tmp_path, {SPAWN: [(whole, broken)]})
    measured = measure(faulty, "process/spawn", {"how": how, "parent": parent})
    assert measured.status == EILSEQ
    assert "did not end with their own status" in measured.reason


@pytest.mark.parametrize("parent", PARENTS)
def test_no_room_for_a_process_is_a_need_and_not_a_failure(tmp_path: Path, parent: str) -> None:
    refused = [("const pid_t child = fork();", "const pid_t child = (errno = EAGAIN, -1);")]
    faulty = compile_broken(tmp_path, {SPAWN: refused})
    measured = measure(faulty, "process/spawn", {"how": "fork", "parent": parent})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission for one more process")
