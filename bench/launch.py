"""Starting workers: pinning, CPUs and process groups."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from fencepost.bench.errors import MeasureError
from fencepost.bench.files import words_of
from fencepost.bench.sysfs import format_cpulist

MARK = "FENCEPOST_RUN"
"""Environment variable of workers: the id of the run. What kernels start is found by it."""

GRACE_S = 0.5
"""For what a kernel has started to end by itself, after its worker."""


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
    # What it has started may be alive in its group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end_marked(run: str) -> None:
    """End what the kernels of a run have started and not ended, whoever its parent and whatever its session is now.

    Such a process has the mark of the run in the environment that it began with. One that is about to end by itself,
    such as one that removes a folder after its kernel, has `GRACE_S` for that. One that has got another environment is
    not found.
    """
    wanted = f"{MARK}={run}".encode()
    deadline = time.monotonic() + GRACE_S
    while left := _marked(wanted):
        for descriptor in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if time.monotonic() > deadline:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        if time.monotonic() > deadline + GRACE_S:  # what cannot be ended, such as one that waits for a device
            return
        time.sleep(0.005)


def _marked(wanted: bytes) -> list[int]:
    """A descriptor of each process of ours that has `wanted` in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and wanted in _environment(process):
            with contextlib.suppress(OSError):
                found.append(os.pidfd_open(int(process.name)))
                if wanted not in _environment(process):  # the number is that of another process by now
                    os.close(found.pop())
    return found


def _environment(process: Path) -> list[bytes]:
    """What a process began with, as ``NAME=value``; nothing where that cannot be read."""
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


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
        said = words_of(error)
        raise MeasureError(
            f"workers cannot be pinned to their CPUs (sched_setaffinity: {said}); allow that call in the sandbox or "
            "container, and CPUs in its set"
        ) from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
