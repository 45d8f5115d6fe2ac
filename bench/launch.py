"""Starting workers: pinning, CPUs and process groups."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from fencepost.bench.errors import MeasureError
from fencepost.bench.sysfs import format_cpulist


def find_taskset() -> str | None:
    """Path of a taskset that works here; None where there is none, or one without ``-c`` (some BusyBox builds)."""
    path = shutil.which("taskset")
    if path is None:
        return None
    trial = [path, "-c", str(min(os.sched_getaffinity(0))), "/bin/sh", "-c", ":"]
    try:
        done = subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return path if done.returncode == 0 else None


def launcher_name() -> str:
    """How workers are pinned here: ``taskset``, or ``sched_setaffinity`` where that command does not work."""
    return "taskset" if find_taskset() else "sched_setaffinity"


def online_cpus() -> set[int] | None:
    """CPUs that are online, or None where sysfs does not say."""
    try:
        text = Path("/sys/devices/system/cpu/online").read_text().strip()
        ranges = [part.partition("-") for part in text.split(",") if part]
        return {cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)}
    except (OSError, ValueError):
        return None


def usable_cpus() -> set[int]:
    """CPUs that this process may use now: its mask, without those that are offline."""
    mask = os.sched_getaffinity(0)
    online = online_cpus()
    return mask if online is None else mask & online


def kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # Until it has made its session, the group does not exist: then the process itself is meant.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def memory_file(name: str) -> IO[bytes]:
    try:
        return os.fdopen(os.memfd_create(f"fencepost-{name}", os.MFD_CLOEXEC), "w+b", buffering=0)
    except (OSError, AttributeError):
        return tempfile.TemporaryFile(buffering=0)


@contextlib.contextmanager
def affinity(cpus: Iterable[int]) -> Iterator[None]:
    """Give this thread another mask for a moment: a process started meanwhile inherits it.

    Raises
    ------
    MeasureError
        where that is forbidden, or none of `cpus` is online and allowed.
    """
    cpus = tuple(cpus)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise MeasureError(f"CPU {format_cpulist(cpus)} went offline, or is no longer allowed here") from error
        said = (error.strerror or str(error)).lower()
        raise MeasureError(
            f"workers cannot be pinned to their CPUs (sched_setaffinity: {said}); allow that call in the sandbox or "
            "container, and CPUs in its set"
        ) from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
