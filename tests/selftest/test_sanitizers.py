"""The self-test with the sanitizers of addresses, threads and memory."""

from __future__ import annotations

import subprocess

import pytest
from selftest.run import BUILT, passes


@pytest.mark.slow
@pytest.mark.first
def test_no_kernel_has_a_finding() -> None:
    passes("sanitize", ["address", "thread"], "gcc", "setarch")
    # A self-test in which nothing ran is no success.
    nothing = subprocess.run([BUILT / "address", "no/kernel"], capture_output=True, text=True, check=False)
    assert (nothing.returncode, "not ok 2 - nothing ran" in nothing.stdout) == (1, True)


@pytest.mark.slow
def test_the_engine_reads_only_what_was_written() -> None:
    """With kernels of several kinds. `make sanitize` has all of them, which takes minutes."""
    kernels = ("clock/read", "memory/chase", "lock/hold", "ring/spsc", "signal/send")
    passes("memory", ["memory"], "clang", kernels=kernels)
