"""Disturbers of our own: where they run, that they run, and that nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runs.measure import wait_for

from fencepost.bench import disturb
from fencepost.bench.disturb import DISTURBER, KINDS, cache_bytes, cpu_beside, disturbing
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.topology import Cache, Topology

TWO_CORES = Topology(cpus=(0, 1, 2, 3), cores=((0, 2), (1, 3)))
CPU = min(os.sched_getaffinity(0))
PARENT = """
import sys, time
from fencepost.bench.disturb import disturbing
from fencepost.bench.topology import Topology
with disturbing("spin", int(sys.argv[1]), Topology()):
    print("on", flush=True)
    time.sleep(600)
"""


def disturbers(parent: int) -> list[int]:
    """Process ids of the disturbers of a process that are running."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(DISTURBER).encode() in words and str(parent).encode() in words:
            found.append(int(path.name))
    return found


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturb, "LEAST_CACHE", 1 << 20)


@pytest.mark.parametrize(("kind", "cpu"), [("spin", 2), ("sibling-load", 2), ("memory", 1)])
def test_it_shares_the_core_unless_it_is_about_memory(kind: str, cpu: int) -> None:
    assert cpu_beside(kind, 0, (0, 1, 2, 3), TWO_CORES) == cpu


def test_any_other_cpu_will_do_and_without_one_it_is_refused() -> None:
    assert cpu_beside("spin", 0, (0, 1), TWO_CORES) == 1
    assert cpu_beside("memory", 0, (0, 2), TWO_CORES) == 2
    with pytest.raises(UsageError, match="second CPU"):
        cpu_beside("spin", 3, (3,), TWO_CORES)


def test_memory_is_larger_than_any_cache() -> None:
    caches = tuple(Cache(level, "unified", size, 64, (0,)) for level, size in ((2, 2 << 20), (3, 64 << 20), (4, None)))
    assert cache_bytes(Topology(caches=caches)) == 64 << 20
    assert cache_bytes(Topology()) == 1 << 20


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_on_its_cpu_and_is_gone_afterwards(kind: str) -> None:
    with disturbing(kind, CPU, Topology()):
        (child,) = disturbers(os.getpid())
        assert os.sched_getaffinity(child) == {CPU}
    assert not Path(f"/proc/{child}").exists()


def test_it_is_gone_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(CPU)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"on\n"
        assert len(disturbers(parent.pid)) == 1
        parent.send_signal(signal.SIGKILL)
        wait_for(lambda: not disturbers(parent.pid))


def test_a_measurement_that_was_not_disturbed_to_its_end_is_a_failure() -> None:
    def killed_meanwhile() -> None:
        with disturbing("spin", CPU, Topology()):
            (child,) = disturbers(os.getpid())
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    with pytest.raises(MeasureError, match="ended before"):
        killed_meanwhile()


def test_a_cpu_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(MeasureError, match="did not start on CPU 100000"), disturbing("spin", 100_000, Topology()):
        pass
