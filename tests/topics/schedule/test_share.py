"""schedule/share and schedule/virtual_clock: spinners share a CPU, end with whoever started them, and leave nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine, Measured
from kernels.leave import children
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, first_that, measure
from kernels.plant import compile_broken
from runs.measure import wait_for
from topics.schedule.left import is_gone, manners

SHARE, CLOCK = "schedule/share.c", "schedule/virtual_clock.c"
SPINNERS, QUOTA, GROUPS, OTHER = "schedule/spinners.h", "schedule/quota.h", "groups.h", "other_process.h"
PAIRS = ["equal", "nice1", "nice5", "nice10", "nice19", "minus5", "batch", "idle", "fifo", "rr"]
WINDOW_MS = 20


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = manners()
    yield
    assert manners() == before


def share(engine: Engine, pair: str) -> Measured:
    return measure(engine, "schedule/share", {"pair": pair, "window_ms": WINDOW_MS})


@pytest.mark.parametrize("pair", PAIRS)
def test_two_share_a_cpu(engine: Engine, pair: str) -> None:
    # A busy machine may leave the two nothing of such a short window.
    measured = first_that(lambda found: found.status != EILSEQ, lambda: share(engine, pair), tries=5)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    metrics = measured.metrics
    assert 0 <= metrics["second_pct"] < 100 and 0 < metrics["had_pct"] < 106
    assert metrics["expected_ratio"] > 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_virtual_time_moves_on(engine: Engine, count: int) -> None:
    values: dict[str, str | int] = {"spinners": count, "window_ms": WINDOW_MS}
    measured = first_that(
        lambda found: found.status != EILSEQ, lambda: measure(engine, "schedule/virtual_clock", values), tries=5
    )
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["rate_times_n"] >= 0
    if count == 1:
        assert measured.metrics["rate_times_n"] == pytest.approx(1, abs=0.01), "alone, virtual time is time"


@pytest.mark.parametrize(
    ("kernel", "values"),
    [
        ("schedule/share", {"window_ms": 0}),
        ("schedule/share", {"window_ms": 10_001}),
        ("schedule/virtual_clock", {"spinners": 0}),
        ("schedule/virtual_clock", {"spinners": 9}),
        ("schedule/virtual_clock", {"window_ms": -1}),
    ],
    ids=str,
)
def test_impossible_values_are_refused(engine: Engine, kernel: str, values: dict[str, str | int]) -> None:
    measured = measure(engine, kernel, values)
    assert measured.status == EINVAL
    assert "is not 1 to" in measured.reason


@pytest.mark.parametrize(
    ("file", "pair", "whole", "broken", "need"),
    [
        (SPINNERS, "fifo", "error = schedule_child(schedule);", "error = EPERM;", "SCHED_FIFO"),
        (SPINNERS, "minus5", "error = schedule_child(schedule);", "error = EACCES;", "nice"),
        (OTHER, "equal", "pid_t other = fork()", "pid_t other = (errno = EAGAIN, -1)", "one more process"),
        (QUOTA, "equal", "return 0;", "return 1;", "a control group without a quota of CPU time"),
    ],
    ids=["fifo", "nice", "pids", "quota"],
)
def test_what_is_missing_is_a_need(tmp_path: Path, file: str, pair: str, whole: str, broken: str, need: str) -> None:
    measured = share(compile_broken(tmp_path, {SHARE: [], file: [(whole, broken)]}), pair)
    assert measured.status == ENOTSUP
    assert need in measured.reason


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Path]:
    """An engine that looks for control groups in a folder, and that folder."""
    folder = tmp_path_factory.mktemp("groups")
    faults = {
        GROUPS: [('"/proc/self/cgroup"', f'"{folder}/cgroup"'), ('"/proc/self/mountinfo"', f'"{folder}/mounts"')],
    }
    mounts = f"1 0 0:1 / {folder}/cpu rw - cgroup cgroup rw,cpuacct,cpu\n2 0 0:2 / {folder} rw - cgroup2 cgroup2 rw\n"
    (folder / "mounts").write_text(mounts)
    return compile_broken(folder, {SHARE: [], **faults}), folder


@pytest.mark.parametrize(
    ("lines", "name", "quota", "found"),
    [
        ("0::/a/b\n", "a/cpu.max", "50000 100000", True),
        ("0::/a/b\n", "a/cpu.max", "max 100000", False),
        ("3:cpuacct,cpu:/a\n", "cpu/a/cpu.cfs_quota_us", "20000", True),
        ("3:cpuacct,cpu:/a\n", "cpu/a/cpu.cfs_quota_us", "-1", False),
        ("3:cpuset:/a\n", "cpu/a/cpu.cfs_quota_us", "20000", False),
    ],
    ids=["of two", "none of two", "of one", "none of one", "another controller"],
)
def test_a_quota_is_found_where_it_is(
    grouped: tuple[Engine, Path], lines: str, name: str, quota: str, found: bool
) -> None:
    engine, folder = grouped
    (folder / "cgroup").write_text(lines)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(quota + "\n")
    assert (share(engine, "equal").status == ENOTSUP) == found


@pytest.mark.parametrize(
    ("file", "whole", "broken", "said"),
    [
        (
            SPINNERS,
            "fetch_add_explicit(&desk->of[place].turns, 1",
            "fetch_add_explicit(&desk->of[place].turns, 0",
            "made no turn",
        ),
        (SPINNERS, "(uint32_t)go", "(uint32_t)go * 0", "the spinners had 0 ns"),
        (SPINNERS, "spinner_ns(spinners, place) != ns[place]", "1", "a spinner ran in each of 100 looks"),
        (SHARE, "spun, 1)", "spun, 0)", "the spinners had"),
        (CLOCK, "spun, 1)", "spun, 0)", "the spinners had"),
    ],
    ids=["no turns", "never let go", "never at rest", "beyond the window", "beyond the window of clocks"],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    if file == CLOCK:
        measured = measure(faulty, "schedule/virtual_clock", {"window_ms": WINDOW_MS})
    else:
        measured = share(faulty, "equal")
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_real_time_spinner_ends_with_a_run_that_is_killed(engine: Engine) -> None:
    measured = share(engine, "fifo")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    ready, tell = os.pipe()
    run = os.fork()
    if run == 0:
        os.close(ready)
        os.write(tell, b"x")
        measure(engine, "schedule/share", {"pair": "fifo", "window_ms": 10_000})
        os._exit(1)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    spinners = wait_for(lambda: spinning(run))
    os.kill(run, signal.SIGKILL)
    assert os.waitpid(run, 0)[1] == signal.SIGKILL
    wait_for(lambda: all(is_gone(pid) for pid in spinners))
    assert not children() & set(spinners)


def spinning(run: int) -> list[str]:
    """The two children of a run, once they have used some of a CPU."""
    found = " ".join(path.read_text() for path in Path(f"/proc/{run}/task").glob("*/children")).split()
    used = [int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) for pid in found]
    return found if len(found) == 2 and sum(used) > 2 else []
