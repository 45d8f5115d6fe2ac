"""kernel/copy: what was sent arrives, what copies nothing is flat, and nothing stays open."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

COPY = "kernel/copy.c"
WAYS = ["pipe", "file", "vm", "zero", "null", "memcpy"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("by", WAYS)
def test_bytes_arrive_and_nothing_stays_open(engine: Engine, by: str) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    measured = measure(engine, "kernel/copy", {"by": by})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == len(measured.samples) == 24
    assert all(measured.metrics[f"b{size}_ns"] > 0 for size in (1, 64, 1024, 4096, 16384, 65536, 262144, 1 << 20))
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize(
    ("by", "whole", "broken", "said"),
    [
        # Half of the bytes, none at all, and other ones.
        ("file", "return pread(transfers->ends[0], transfers->to, size, 0);", "", "were not whole"),
        ("zero", "return read(transfers->ends[0], transfers->to, size);", "return (ssize_t)size;", "255 instead of 0"),
        ("memcpy", "transfers->from, size);\n        __asm__", "transfers->from, size / 2);\n        __asm__", "byte"),
        ("vm", "&to, 1, &from, 1, 0)", "&to, 1, &to, 1, 0)", "byte 0 is 255 instead of 1"),
        ("null", "return write(transfers->ends[0], transfers->from, size);", "return read(3, 0, 0);", "were not whole"),
        # A copy where there is to be none.
        (
            "null",
            "return write(transfers->ends[0], transfers->from, size);",
            "memcpy(transfers->to, transfers->from, size); return (ssize_t)size;",
            "byte 0 is 1 instead of 255",
        ),
    ],
)
def test_a_transfer_that_does_otherwise_fails(tmp_path: Path, by: str, whole: str, broken: str, said: str) -> None:
    broken = broken or "return pread(transfers->ends[0], transfers->to, (size + 1) / 2, 0);"
    measured = measure(compile_broken(tmp_path, {COPY: [(whole, broken)]}), "kernel/copy", {"by": by})
    assert measured.status == EILSEQ
    assert said in measured.reason


@pytest.mark.parametrize(
    ("by", "whole", "broken", "need"),
    [
        ("pipe", "F_SETPIPE_SZ, (int)MOST_BYTES)", "F_GETPIPE_SZ)", "a pipe of 1 MiB"),
        ("file", 'memfd_create("copy", MFD_CLOEXEC)', "-1", "a file of 1 MiB in memory"),
        ("vm", "process_vm_readv(transfers->process, &to, 1, &from, 1, 0)", "-1", "process_vm_readv"),
        ("zero", 'open(by == ZERO ? "/dev/zero"', 'open(by == ZERO ? "/dev/none"', "/dev/zero"),
    ],
)
def test_what_is_missing_is_a_need(tmp_path: Path, by: str, whole: str, broken: str, need: str) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    measured = measure(compile_broken(tmp_path, {COPY: [(whole, broken)]}), "kernel/copy", {"by": by})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith(f"needs {need}")
    assert set(Path("/proc/self/fd").iterdir()) <= before
