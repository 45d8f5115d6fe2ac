"""The self-test of other architectures, under qemu."""

from __future__ import annotations

import pytest
from selftest.run import BUILT, passes


@pytest.mark.slow
@pytest.mark.first
def test_each_kernel_passes() -> None:
    compilers = ("aarch64-linux-gnu-gcc", "riscv64-linux-gnu-gcc")
    passes("architectures", ["aarch64", "riscv64"], *compilers, "qemu-aarch64", "qemu-riscv64")
    # On pages of 16 KiB, as Linux may have them there.
    assert "needs pages of 4 KiB or less" in (BUILT / "aarch64-16KiB.log").read_text()
