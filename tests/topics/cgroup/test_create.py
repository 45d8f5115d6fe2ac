"""cgroup/create: each folder is a group, nothing is left, and what is missing is a need."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from runs.measure import wait_for

CREATE = "cgroup/create.c"
HIERARCHIES = ["folder", "v2", "pids", "memory"]


def left(process: int) -> list[Path]:
    """Groups and folders that an engine of this process has made and that are still there."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if " cgroup" in line]
    return [path for place in ("/dev/shm", *mounts) for path in Path(place).rglob(f"fencepost-{process}-*")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield
    assert left(os.getpid()) == []


@pytest.mark.parametrize("hierarchy", HIERARCHIES)
def test_each_is_a_group_and_none_is_left(engine: Engine, hierarchy: str) -> None:
    measured = measure(engine, "cgroup/create", {"hierarchy": hierarchy})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 21
    assert measured.metrics["remove_ns"] > 0


@pytest.mark.parametrize(
    ("hierarchy", "whole", "broken", "said"),
    [
        ("folder", "trial->value[0] != FOLDER", "1", "were what they should be"),
        ("folder", "if (rmdir(path))", "if (groups->made < 21 && rmdir(path))", "a group is left"),
    ],
)
def test_what_is_no_group_or_stays_fails(tmp_path: Path, hierarchy: str, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {CREATE: [(whole, broken)]}), "cgroup/create", {"hierarchy": hierarchy})
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


@pytest.mark.parametrize(
    ("hierarchy", "whole", "broken", "need"),
    [
        ("v2", "if (mkdir(path, 0700))", "if ((errno = EACCES))", "permission to make a group here"),
        ("folder", "if (mkdir(path, 0700))", "if ((errno = EROFS))", "a folder in memory"),
        ("v2", "if (!find_group_folder(", "if (1 || !find_group_folder(", "a hierarchy of version 2"),
        ("pids", '[PIDS] = "pids"', '[PIDS] = "none"', "a hierarchy of this controller"),
    ],
)
def test_what_is_missing_is_a_need(tmp_path: Path, hierarchy: str, whole: str, broken: str, need: str) -> None:
    faulty = compile_broken(tmp_path, {CREATE: [(whole, broken)]})
    measured = measure(faulty, "cgroup/create", {"hierarchy": hierarchy})
    if hierarchy == "v2" and "version 2" in measured.reason and "version 2" not in need:
        pytest.skip(measured.reason)
    assert measured.status == ENOTSUP, measured.reason
    assert measured.reason.startswith(f"needs {need}")


STANDS = "    groups->made++;"


@pytest.mark.parametrize("hierarchy", ["folder", "v2", "pids"])
def test_a_group_goes_with_an_engine_that_is_killed(tmp_path: Path, hierarchy: str) -> None:
    faulty = compile_broken(tmp_path, {CREATE: [(STANDS, f"{STANDS} if (groups->made == 9) pause();")]})
    engine = os.fork()
    if engine == 0:
        measure(faulty, "cgroup/create", {"hierarchy": hierarchy})
        os._exit(1)
    if not wait_for(lambda: left(engine) or os.waitid(os.P_PID, engine, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
        return
    os.kill(engine, signal.SIGKILL)
    status = os.waitpid(engine, 0)[1]
    if os.WIFEXITED(status):
        pytest.skip("no group can be made here")
    wait_for(lambda: not left(engine))
