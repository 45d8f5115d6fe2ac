"""Background loads: they run during the batches and no longer, prove it, and starve nobody who could never end them."""

from __future__ import annotations

import math
import os
import re
import signal
from pathlib import Path

import pytest
from engine.build import Engine, Measured, compile_files
from kernels.measure import TRIES, first_that
from kernels.plant import expect_no_thread_more_than, threads
from runs.measure import wait_for

KERNELS = Path(__file__).with_name("loads.c")
OTHER, IDLE, FIFO, DEADLINE = range(4)
OWN, NONE = 0, 9
EINVAL, EILSEQ, ENOTSUP = -22, -84, -95
BUSY = "CPUs with time left for a load of the lowest priority"
SHORT = "CPUs with time left for a load in short windows"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_files(tmp_path_factory.mktemp("load"), [KERNELS])


def needs_fifo(engine: Engine) -> None:
    if not engine.lib.capabilities() & engine.lib.NEED_FIFO:
        pytest.skip("needs permission for SCHED_FIFO")


def ran(got: Measured) -> bool:
    return got.status == 0


@pytest.mark.parametrize("policy", [OTHER, IDLE, FIFO])
def test_a_load_runs_on_the_cases_own_cpu_while_it_sleeps(engine: Engine, policy: int) -> None:
    """With one CPU: all of this has only one, and a load of SCHED_FIFO would keep it, were its starter not above it."""
    needs_fifo(engine)
    before = threads()
    cpus = [min(os.sched_getaffinity(0))]
    got = first_that(ran, lambda: engine.trial("load/asleep", (policy, OWN, 1), cpus=cpus, batches=10))
    if policy != FIFO and not ran(got):  # another process wanted the CPU in each window
        assert got.status == ENOTSUP and (BUSY if policy == IDLE else SHORT) in got.reason
    else:
        assert got.status == 0, got.reason
        assert 0 < got.outcome.loaded_pct <= 100
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("name", ["load/asleep", "load/loop"])
@pytest.mark.parametrize("policy", [OTHER, IDLE, FIFO])
def test_a_load_runs_on_another_cpu_of_the_case(engine: Engine, name: str, policy: int) -> None:
    if policy == FIFO:
        needs_fifo(engine)
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("needs 2 CPUs, this process may use 1")
    # Worker 1 is on the load's CPU: one that a real-time load would stop is refused.
    tries = 1 if policy == FIFO or name == "load/loop" else TRIES
    got = first_that(ran, lambda: engine.trial(name, (policy, 1, 0), cpus=cpus), tries)
    if policy == FIFO:
        assert got.status == EINVAL
        assert got.reason.startswith(f"a load of SCHED_FIFO on CPU {cpus[1]} would stop worker 1 there")
    elif not ran(got):  # worker 1 spins in a loop kernel, and may leave the load not a single turn
        assert (BUSY if policy == IDLE else SHORT) in got.reason
    else:
        assert 0 < got.outcome.loaded_pct <= 100


def test_no_load_no_metric(engine: Engine) -> None:
    assert engine.fault() is None
    got = engine.trial("load/bare")
    assert got.status == 0 and math.isnan(got.outcome.loaded_pct)


@pytest.mark.parametrize(
    ("policy", "ms", "status", "said"),
    [
        (OTHER, 30, EILSEQ, r"the load of SCHED_OTHER on CPU \d+ ran in none of 5 windows of \d{3,} ms in all"),
        (OTHER, 0, ENOTSUP, SHORT),
        (IDLE, 0, ENOTSUP, BUSY),
    ],
    ids=["long windows", "short windows", "lowest priority"],
)
def test_a_load_that_ran_in_no_window_fails_the_case_or_found_a_busy_cpu(
    engine: Engine, policy: int, ms: int, status: int, said: str
) -> None:
    """Worker 0 is of a class above the load, and gives up its CPU in no window. In short ones another process may have
    it, so nothing is at fault.
    """
    needs_fifo(engine)
    before = threads()
    got = engine.trial("load/awake", (policy, OWN, 1, ms), cpus=[min(os.sched_getaffinity(0))], batches=5)
    assert got.status == status, got.reason
    assert re.search(said, got.reason)
    expect_no_thread_more_than(before)


@pytest.mark.parametrize(
    ("policy", "where", "words"),
    [
        (FIFO, OWN, "would stop worker 0 there"),
        (DEADLINE, OWN, "a load stays on its CPU"),
        (OTHER, NONE, "is none of this case"),
    ],
)
def test_a_load_that_cannot_be_is_refused(engine: Engine, policy: int, where: int, words: str) -> None:
    if policy != OTHER:
        needs_fifo(engine)
    before = threads()
    got = engine.trial("load/asleep", (policy, where, 0))
    assert got.status == EINVAL and words in got.reason, got.reason
    expect_no_thread_more_than(before)


def test_a_load_does_not_outlive_a_setup_that_failed(engine: Engine) -> None:
    before = threads()
    got = engine.trial("load/failing")
    assert got.status == EILSEQ and "after the load was asked for" in got.reason
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("policy", [OTHER, FIFO])
def test_a_load_ends_with_its_process(engine: Engine, policy: int) -> None:
    """Whatever kills it, and wherever it is just then."""
    needs_fifo(engine)
    child = os.fork()
    if child == 0:
        engine.trial("load/endless", (policy, OWN, 1))
        os._exit(1)
    # The main thread, worker 0 and the load.
    wait_for(lambda: len(list(Path(f"/proc/{child}/task").iterdir())) >= 3)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert not Path(f"/proc/{child}").exists()
