"""Kernels of the operating system where it refuses them something: each has a figure, a need or a failure in words."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine.build import Engine
from kernels.measure import ENOTSUP, SHARING, built_engine, catalog, measure
from runs.measure import PATIENCE_S

from fencepost.bench import engine as engines
from fencepost.bench.worker import load_extension

TOPICS = ("kernel", "ipc", "signal", "output", "interrupt", "namespace", "cgroup", "perf")
KERNELS = [
    *(
        name
        for name in sorted(catalog(built_engine()).kernels)
        # Records in the system's log are few, and have tests of their own.
        if name.partition("/")[0] in TOPICS and not name.startswith("output/kmsg")
    ),
    *("process/peek", "process/trace", "process/spawn"),
]
FEW_FILES = 1
"""Beside those that are open: less than a pipe takes."""
NOBODY = 65534
FORBIDDEN = {
    "x86_64": {"unshare": 272, "mount": 165, "ptrace": 101, "process_vm_readv": 310, "splice": 275, "vmsplice": 278},
    "aarch64": {"unshare": 97, "mount": 40, "ptrace": 117, "process_vm_readv": 270, "splice": 76, "vmsplice": 75},
}
"""By architecture, the numbers of system calls that filters of containers forbid; beside those that have one number."""
EVERYWHERE = {"io_uring_setup": 425}
PERF = {"x86_64": 298, "aarch64": 241}


def few_files() -> None:
    """No more than some descriptors (ulimit -n)."""
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    for file in taken[-FEW_FILES:]:
        os.close(file)


def no_files() -> None:
    few_files()
    while True:
        try:
            os.dup(0)
        except OSError:
            return


def children_ignored() -> None:
    """As some parents start their children."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def nobody() -> None:
    """No permission beyond those of any user. What /proc says of this process is then root's."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def filtered() -> None:
    """A filter of system calls (seccomp), as of a container: what it forbids answers EPERM."""
    machine = os.uname().machine
    numbers = [*FORBIDDEN[machine].values(), *EVERYWHERE.values(), PERF[machine]]
    load, equal, answer = 0x20, 0x15, 0x06
    program = [struct.pack("HBBI", load, 0, 0, 0)]
    program += [struct.pack("HBBI", equal, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [struct.pack("HBBI", answer, 0, 0, 0x7FFF0000), struct.pack("HBBI", answer, 0, 0, 0x00050001)]
    code = ctypes.create_string_buffer(b"".join(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter_, 0, 0) == 0, os.strerror(ctypes.get_errno())


def fresh_engine(folder: Path) -> Engine:
    """The engine from a file of its own: what the other has found out about this process, such as its permissions, was
    true before it became hostile.
    """
    built = engines.load().path
    copy = folder / built.name
    shutil.copy(built, copy)
    module: Any = load_extension("_kernels", str(copy))
    return Engine(module.ffi, module.lib)


def answers(engine: Engine, hostile: Callable[[], None], end: int) -> None:
    """In a child of its own: what each kernel says, as lines of JSON."""
    rows = {name: catalog(engine).get(name) for name in KERNELS}
    hostile()
    for name, row in rows.items():
        measured = measure(engine, name, cpus=SHARING if row.threads_min == 2 else None)
        os.write(end, json.dumps([name, measured.status, measured.reason]).encode() + b"\n")


@pytest.mark.parametrize(
    ("hostile", "refused"),
    [
        (few_files, {"ipc/switch", "ipc/throughput", "kernel/copy", "kernel/name", "output/loss", "process/spawn"}),
        (no_files, {"process/trace"}),
        pytest.param(children_ignored, set(), marks=pytest.mark.slow),
        pytest.param(nobody, {"namespace/capability"}, marks=pytest.mark.slow),
        (filtered, {"namespace/unshare", "perf/software", "ipc/zero_copy", "process/peek", "process/trace"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_refused_is_said(tmp_path: Path, hostile: Callable[[], None], refused: set[str]) -> None:
    if hostile is filtered and os.uname().machine not in FORBIDDEN:
        pytest.skip("needs the numbers of this architecture's system calls")
    out, end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE_S))  # whoever hangs is ended, and has no answer
        try:
            answers(fresh_engine(tmp_path), hostile, end)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(end)
    with os.fdopen(out, encoding="utf-8") as lines:
        found = {name: (status, reason) for name, status, reason in map(json.loads, lines)}
    status = os.waitpid(child, 0)[1]
    last = next(reversed(found), "none")
    assert status == 0, f"it ended with {status} after {last}"
    assert list(found) == KERNELS
    for name, (code, reason) in found.items():
        assert code == 0 or (code == ENOTSUP and reason.startswith("needs ")), (name, code, reason)
    assert refused <= {name for name, (code, _) in found.items() if code}
