"""The self-test of other architectures, under qemu."""

from __future__ import annotations

import pytest
from selftest.run import passes


@pytest.mark.slow
@pytest.mark.first
def test_each_kernel_passes() -> None:
    compilers = ("aarch64-linux-gnu-gcc", "riscv64-linux-gnu-gcc")
    passes("architectures", ["aarch64", "riscv64"], *compilers, "qemu-aarch64", "qemu-riscv64")
