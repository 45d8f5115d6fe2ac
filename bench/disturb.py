"""Disturbs a measurement on purpose: a process of our own that runs beside it, and is gone when it ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.launch import kill_group
from fencepost.bench.topology import Topology

KINDS = {
    "spin": "runs without a pause",
    "memory": "streams through more memory than fits into the last-level cache",
    "sibling-load": "runs in short bursts",
}
"""What each kind of disturber does."""

DISTURBER = Path(__file__).with_name("disturber.py")
LEAST_CACHE = 32 << 20
"""Bytes of a last-level cache of which the machine says nothing, or less."""


def cpu_beside(kind: str, measured: int, allowed: Collection[int], topology: Topology) -> int:
    """The CPU for a disturber of a measurement on CPU `measured`.

    A thread of the same core is taken for all kinds but `memory`, which shall meet the measurement in the shared caches
    alone. If there is none of the wanted kind, any other CPU is. Raises `UsageError` where there is no other CPU.
    """
    others = [cpu for cpu in sorted(allowed) if cpu != measured]
    if not others:
        raise UsageError(f"--disturb {kind}: needs a second CPU; this process may use CPU {measured} alone")
    core = topology.siblings(measured)
    wanted = [cpu for cpu in others if (cpu in core) != (kind == "memory")]
    return (wanted or others)[0]


def cache_bytes(topology: Topology) -> int:
    """Size of the largest cache of the machine, at least `LEAST_CACHE`."""
    return max(LEAST_CACHE, *(cache.size_bytes or 0 for cache in topology.caches), 0)


@contextlib.contextmanager
def disturbing(kind: str, cpu: int, topology: Topology) -> Iterator[None]:
    """Have a disturber of this kind run on this CPU. Raises `MeasureError` if it did not run to the end."""
    # Two buffers of the size of the cache: the source alone pushes the target out.
    numbers = (cpu, os.getpid(), cache_bytes(topology))
    command = [sys.executable, "-I", "-S", "-B", str(DISTURBER), kind, *map(str, numbers)]
    # A session of its own: Ctrl-C on the terminal is for the run, which then ends the disturber.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise MeasureError(f"--disturb {kind}: the disturber did not start on CPU {cpu}")
        yield
        if process.poll() is not None:
            raise MeasureError(f"--disturb {kind}: the disturber ended before the measurement did; start it again")
    finally:
        kill_group(process)
        if process.stdout is not None:
            process.stdout.close()
