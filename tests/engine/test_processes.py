"""Members of a team that are processes: met like threads, and gone when anything dies."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine, compile_files
from kernels.plant import KERNELS
from runs.measure import PATIENCE_S, wait_for

FILE = Path(__file__).with_name("processes.c")
CPUS = sorted(os.sched_getaffinity(0))
PAIRS = [[CPUS[0], CPUS[0]], *([CPUS[:2]] if len(CPUS) > 1 else [])]
WAITING = ("spinning", "reading", "meeting")
ENDINGS = ("signal 9", "signal 11", "status 3", "status 0")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_files(tmp_path_factory.mktemp("processes"), [FILE], "extern int torn_down;")


def children_of(pid: int) -> set[int]:
    """Processes that any thread of `pid` has started, and that have not been reaped."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found |= set(map(int, (task / "children").read_text().split()))
        except OSError:
            continue  # that thread has just ended
    return found


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No test leaves a process behind, not even one that waits to be reaped."""
    processes = children_of(os.getpid())
    yield
    assert children_of(os.getpid()) <= processes


@pytest.mark.parametrize("cpus", PAIRS, ids=str)
@pytest.mark.parametrize("kernel", ["process/pass", "process/events"])
def test_a_process_takes_part_like_a_thread(engine: Engine, kernel: str, cpus: list[int]) -> None:
    before = engine.lib.torn_down
    got = engine.trial(kernel, cpus=cpus, batches=5)
    assert got.status == 0, got.reason
    assert engine.lib.torn_down == before + 1
    if kernel == "process/pass":
        batches = len(got.samples) // 2
        assert [(sample.batch, sample.thread) for sample in got.samples] == [
            (b, t) for b in range(batches) for t in (0, 1)
        ]
        assert {sample.operations for sample in got.samples} == {got.samples[0].operations}
        assert all(sample.ticks > 0 for sample in got.samples)
        assert [sample.cpu_begin for sample in got.samples] == cpus * batches


def test_several_processes_take_part(engine: Engine) -> None:
    got = engine.trial("process/events", cpus=[CPUS[i % len(CPUS)] for i in range(4)])
    assert got.status == 0, got.reason


@pytest.mark.parametrize("kernel", ["process/desert", "process/desert_event"])
@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", range(4), ids=ENDINGS)
@pytest.mark.parametrize("waiting", range(3), ids=WAITING)
def test_a_process_that_dies_is_an_error_and_no_hang(
    engine: Engine, kernel: str, waiting: int, ending: int, size: int
) -> None:
    before = engine.lib.torn_down
    got = engine.trial(kernel, (waiting, ending), [CPUS[i % len(CPUS)] for i in range(size)])
    assert got.status == -errno.ECHILD
    verb = "was ended by" if "signal" in ENDINGS[ending] else "left with"
    assert got.reason == f"the process of worker 1 {verb} {ENDINGS[ending]} in mid-run"
    assert got.samples == [] and got.buckets == []
    assert engine.lib.torn_down == before + 1, "what setup opened is closed"
    after = engine.trial("process/pass", cpus=PAIRS[-1])
    assert after.status == 0, "the next case is none the worse: " + after.reason


def test_a_process_that_is_killed_from_outside_is_named(engine: Engine) -> None:
    """Both sleep; somebody kills the process."""

    def kill_it() -> None:
        (child,) = wait_for(lambda: children_of(os.getpid()) - before)
        wait_for(functools.partial(is_asleep, child))
        os.kill(child, signal.SIGTERM)

    before = children_of(os.getpid())
    killer = threading.Thread(target=kill_it)
    killer.start()
    got = engine.trial("process/stay", cpus=PAIRS[0])
    killer.join()
    assert got.reason == "the process of worker 1 was ended by signal 15 in mid-run"


def test_a_canary_that_a_process_overwrites_is_seen(engine: Engine) -> None:
    got = engine.trial("process/past", cpus=PAIRS[-1])
    assert got.status == -errno.EFAULT
    assert got.reason == "the kernel wrote past the end of its buffer"


def test_what_a_process_complains_about_is_the_reason(engine: Engine) -> None:
    got = engine.trial("process/complain", cpus=PAIRS[-1])
    assert got.status == -errno.EILSEQ
    assert got.reason == "measuring failed: found nothing to do"


STAYING = """
import signal, sys
sys.path[:] = {path!r}
if {ignored}:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from pathlib import Path
from engine.build import open_engine
print("ready", flush=True)
open_engine(Path({library!r})).trial("process/stay", cpus={cpus!r})
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["", "SIGCHLD ignored"])
def test_no_process_outlives_an_engine_that_is_killed(tmp_path: Path, ignored: bool) -> None:
    compile_files(tmp_path, [FILE])
    code = STAYING.format(path=sys.path, library=str(tmp_path / "engine.so"), cpus=[CPUS[0]] * 4, ignored=ignored)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as running:
        found = wait_for(lambda: len(now := children_of(running.pid)) == 3 and now)
        # Asleep in their work: each has asked to die with its maker.
        for child in found:
            wait_for(functools.partial(is_asleep, child))
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE_S)
    wait_for(lambda: not any(is_running(child) for child in found))


def state(pid: int) -> str:
    """What the system calls the state of a process: X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_asleep(pid: int) -> bool:
    return state(pid) == "S"


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it until somebody reaps it."""
    return state(pid) not in "ZX"


def test_a_process_whose_maker_died_first_takes_no_part(tmp_path: Path) -> None:
    """The maker may die before the process asks to die with it. Planted: it finds that it has another parent."""
    orphaned = tmp_path / "orphaned.c"
    orphaned.write_text(FILE.read_text(encoding="utf-8") + "\npid_t getppid(void)\n{\n    return 1;\n}\n")
    got = compile_files(tmp_path, [orphaned]).trial("process/pass", cpus=PAIRS[0])
    assert got.reason == "the process of worker 1 left with status 1 in mid-run"


@pytest.fixture
def ignored_sigchld() -> Iterator[None]:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    ignored = int(Path("/proc/self/status").read_text().partition("SigIgn:")[2].split()[0], 16)
    signal.signal(signal.SIGCHLD, before)
    assert ignored >> (signal.SIGCHLD - 1) & 1, "what was found is put back"


@pytest.mark.usefixtures("ignored_sigchld")
def test_processes_are_reaped_where_sigchld_is_ignored(engine: Engine) -> None:
    got = engine.trial("process/pass", cpus=PAIRS[-1])
    assert got.status == 0, got.reason
    got = engine.trial("process/desert", (1, 0), cpus=PAIRS[-1])
    assert got.reason == "the process of worker 1 was ended by signal 9 in mid-run"


@pytest.mark.usefixtures("ignored_sigchld")
@pytest.mark.parametrize("parent", range(2), ids=["small", "interpreter"])
@pytest.mark.parametrize("how", range(3), ids=["fork", "vfork", "thread"])
def test_spawned_children_are_reaped_where_sigchld_is_ignored(tmp_path: Path, how: int, parent: int) -> None:
    got = compile_files(tmp_path, [KERNELS / "process" / "spawn.c"]).trial("process/spawn", (how, 0, parent))
    assert got.status == 0, got.reason


PIPES = """
#define _GNU_SOURCE
#include "kernels/ring/sleeping.h"
#include "kernels/ring/trial.h"
#define RING pipe
#define RING_HAS_BULK
#include "kernels/ring/trial.h"
static int between_processes(struct trial *trial)
{
    trial->processes = 1;
    return pipe_throughput_setup(trial);
}
static int there_and_back(struct trial *trial)
{
    trial->processes = 1;
    return pipe_round_trip_setup(trial);
}
KERNEL(pipe, .name = "ring/pipe", .summary = "s", RING_TRIAL_THROUGHPUT(pipe), .setup = between_processes)
KERNEL(pipes, .name = "ring/pipes", .summary = "s", RING_TRIAL_ROUND_TRIP(pipe), .setup = there_and_back)
"""


@pytest.mark.parametrize("cpus", PAIRS, ids=str)
@pytest.mark.parametrize("kernel", ["ring/pipe", "ring/pipes"])
def test_a_kernel_of_threads_works_between_processes(tmp_path: Path, kernel: str, cpus: list[int]) -> None:
    (tmp_path / "pipes.c").write_text(PIPES, encoding="utf-8")
    got = compile_files(tmp_path, [tmp_path / "pipes.c"]).trial(kernel, (16, 8, 1, 0), cpus)
    assert got.status == 0, got.reason
